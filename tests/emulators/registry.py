"""What large registries of images do and Debian's small one does not: tokens from a service of their own.

Source: https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LOGIN = "bellhop:luggage"
TOKEN = "a-token-for-one-scope"


@contextmanager
def registry_with_tokens() -> Iterator[tuple[str, list[str]]]:
    """Its address, and what was asked of it: scopes of tokens, and digests that were deleted."""
    told: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"told": told}))
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        yield f"127.0.0.1:{server.server_port}", told
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    told: list[str]

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if asked.path != "/token":
            self._answer(200) if self._knows() else self._challenge()
            return
        word = base64.b64encode(LOGIN.encode()).decode()
        query = parse_qs(asked.query)
        if self.headers.get("Authorization") != f"Basic {word}" or query.get("service") != ["images"]:
            self._answer(401)
            return
        self.told.append(query.get("scope", [""])[0])
        self._answer(200, f'{{"token": "{TOKEN}"}}')

    def do_DELETE(self) -> None:
        if not self._knows():
            self._challenge()
            return
        self.told.append(self.path)
        self._answer(202)

    def _knows(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _challenge(self) -> None:
        here = f"http://{self.headers['Host']}/token"
        self._answer(401, "", f'Bearer realm="{here}",service="images"')

    def _answer(self, status: int, body: str = "", challenge: str = "") -> None:
        self.send_response(status)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
