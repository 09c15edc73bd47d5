"""A clone through the door against the same clone from `git http-backend`: 200 MB that do not compress."""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import PIPE, Popen
from threading import Thread

from tests.benchmarks.report import Report
from tests.sandbox.broker.git_box import SLUG, GitHouse
from tests.sandbox.door.stage import stage
from tests.sandbox.workbench import AUTHOR, Workbench

RATIO_BAR = 1.5
# More than a hundred objects stay in the pack they came in, as those of a real repository do.
BLOBS = 200
BLOB_BYTES = 1024 * 1024
ROUNDS = 3
PIECE_BYTES = 64 * 1024


async def run(report: Report) -> None:
    """Note how long each clone takes, and the ratio."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        house = await asyncio.to_thread(_house, home)
        direct, through = [], []
        async with stage(lambda port: ["forge"], git=house.handler(), public=True) as s:
            proxy = {
                "HTTPS_PROXY": f"http://127.0.0.1:{s.proxy_port}",
                "GIT_SSL_CAINFO": str(s.directory / "authority.pem"),
            }
            with _http_backend(house.origin) as address:
                # The first one makes the quarantine, which a session does once.
                await _clone(home, f"https://git.bellhop.internal/{SLUG}.git", proxy)
                for _ in range(ROUNDS):
                    direct.append(await _clone(home, address, {}))
                    through.append(await _clone(home, f"https://git.bellhop.internal/{SLUG}.git", proxy))
    alone, ours = statistics.median(direct), statistics.median(through)
    report.add("size of the repository", BLOBS * BLOB_BYTES / 1e6, "MB")
    report.add("clone from git http-backend", alone, "s")
    report.add("clone through the door", ours, "s")
    report.add("through the door, compared", ours / alone, "x", at_most=RATIO_BAR)


def _house(home: Path) -> GitHouse:
    bench = Workbench.new(home / "large")
    bench.commit("Large", {f"{number}.bin": os.urandom(BLOB_BYTES) for number in range(BLOBS)})
    (home / "house").mkdir()
    house = GitHouse.at(home / "house")
    house.to_forge(bench, "main")
    return house


async def _clone(home: Path, url: str, variables: dict[str, str]) -> float:
    """The seconds that a clone takes, without a checkout."""
    target = home / "copy"
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        "git", "clone", "--quiet", "--no-checkout", url, str(target),
        env={"PATH": os.environ["PATH"], "HOME": str(home), **AUTHOR, **variables},
    )  # fmt: skip
    if await process.wait() != 0:
        raise RuntimeError(f"the clone of {url} failed")
    took = time.perf_counter() - started
    await asyncio.to_thread(shutil.rmtree, target)
    return took


@contextmanager
def _http_backend(repository: Path) -> Iterator[str]:
    """git's own server of this repository, at the address given."""

    class Backend(BaseHTTPRequestHandler):
        """Each request is one run of `git http-backend`. Source: git-http-backend(1), RFC 3875."""

        def do_GET(self) -> None:
            self._run(b"")

        def do_POST(self) -> None:
            self._run(self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _run(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            variables = {
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "GIT_PROJECT_ROOT": str(repository.parent),
                "GIT_HTTP_EXPORT_ALL": "1",
            }
            env = {"PATH": os.environ["PATH"], **AUTHOR, **variables}
            with Popen(["git", "http-backend"], stdin=PIPE, stdout=PIPE, bufsize=0, env=env) as process:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(body)
                process.stdin.close()
                self.send_response(200)
                while (line := process.stdout.readline().strip()) != b"":
                    name, _, value = line.decode().partition(": ")
                    self.send_header(name, value)
                self.end_headers()
                while piece := process.stdout.read(PIECE_BYTES):
                    self.wfile.write(piece)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{repository.name}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
