"""A server outside, which a journey's boxes reach as any name below example.com if their door lets them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.sandbox.door.upstream import Upstream, upstream


@dataclass(frozen=True, slots=True)
class Outside:
    """The running server, and the settings of a house whose broker may reach and trusts it."""

    server: Upstream
    settings: Mapping[str, str]

    def rule(self, host: str, **more: object) -> dict[str, object]:
        """A rule of egress for that host."""
        return {"host": host, "port": self.server.port, **more}

    def url(self, host: str, path: str = "/") -> str:
        """An address on the server."""
        return f"https://{host}:{self.server.port}{path}"

    def asked(self) -> list[tuple[str, str]]:
        """Method and path of all that reached the server."""
        return [(got.method, got.target) for got in self.server.got]


@asynccontextmanager
async def outside(directory: Path) -> AsyncIterator[Outside]:
    """The server; the certificate of its authority is kept in `directory`."""
    async with upstream() as server:
        [certificate] = server.trusted.get_ca_certs(binary_form=True)
        file = directory / "outside.pem"
        file.write_text(ssl.DER_cert_to_PEM_cert(certificate))
        settings = {"EGRESS_NETWORKS": "127.0.0.0/8", "EGRESS_AUTHORITIES": str(file)}
        yield Outside(server, settings)
