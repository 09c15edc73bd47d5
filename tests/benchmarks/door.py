"""What the door costs: a request through it against the same request without, bytes through a tunnel, and
fifty boxes at once. Every request is held against the policy and put on the audit (SQLite, on disk)."""

from __future__ import annotations

import asyncio
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sandbox.broker.door.authority import Authority
from session.policy import EgressEntry, EgressRule
from tests.benchmarks.report import Report
from tests.sandbox.door.stage import HOST, SESSION, Stage, stage

OVERHEAD_BAR_MILLISECONDS = 10.0
TUNNEL_BAR_MEGABYTES_PER_SECOND = 100.0
REQUESTS = 300
BOXES = 50
REQUESTS_OF_A_BOX = 10
TUNNEL_BYTES = 400 * 1024 * 1024
PIECE = b"x" * 1024 * 1024


async def run(report: Report) -> None:
    """Note the overhead of a request, the throughput of a tunnel, and what fifty boxes get."""
    async with stage() as s:
        direct = await asyncio.to_thread(_direct, s)
        through = await asyncio.to_thread(_through, s, s.directory, REQUESTS)
        await _many_boxes(report, s)
    report.add("request without the door, p50", _p50(direct), "ms")
    report.add("request through the door, p50", _p50(through), "ms")
    report.add("overhead of the door, p50", _p50(through) - _p50(direct), "ms",
               at_most=OVERHEAD_BAR_MILLISECONDS)  # fmt: skip
    with _source() as (port, trust):

        def tunnel(_: int) -> Sequence[EgressEntry]:
            return [EgressRule(host=HOST, port=port, tunnel=True)]

        async with stage(tunnel, public=True) as s:
            alone = await asyncio.to_thread(_drain, _dial(port), trust)
            tunnelled = await asyncio.to_thread(lambda: _drain(_connect(s.directory, port), trust))
    report.add("throughput without the door", alone, "MB/s")
    report.add("throughput of a tunnel", tunnelled, "MB/s", at_least=TUNNEL_BAR_MEGABYTES_PER_SECOND)


async def _many_boxes(report: Report, s: Stage) -> None:
    """Fifty boxes that all ask at once, each one request after another."""
    places = [await s.doors.open(SESSION, f"box-{number}", {}) for number in range(BOXES)]
    started = time.perf_counter()
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(BOXES) as threads:
        asking = [loop.run_in_executor(threads, _through, s, each, REQUESTS_OF_A_BOX) for each in places]
        rounds = await asyncio.gather(*asking)
    took = time.perf_counter() - started
    times = [seconds for each in rounds for seconds in each]
    report.add(f"answers to {BOXES} boxes at once", len(times), "requests",
               at_least=BOXES * REQUESTS_OF_A_BOX)  # fmt: skip
    report.add("requests a second among them", len(times) / took, "1/s")
    report.add("request among them, p50", _p50(times), "ms")


def _p50(seconds: Sequence[float]) -> float:
    return statistics.median(seconds) * 1000


def _direct(s: Stage) -> list[float]:
    return _times(_dial(s.upstream.port), s.upstream.trusted, s.upstream.port, REQUESTS)


def _through(s: Stage, place: Path, count: int) -> list[float]:
    trust = ssl.create_default_context(cafile=str(place / "authority.pem"))
    return _times(_connect(place, s.upstream.port), trust, s.upstream.port, count)


def _times(raw: socket.socket, trust: ssl.SSLContext, port: int, count: int) -> list[float]:
    """The seconds of each of so many requests over one connection."""
    found = []
    with raw, trust.wrap_socket(raw, server_hostname=HOST) as tls:
        for number in range(count):
            before = time.perf_counter()
            tls.sendall(f"GET /{number} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
            answer = b""
            while not answer.endswith(b"fine"):
                data = tls.recv(65536)
                if not data:
                    raise RuntimeError(f"the connection ended: {answer!r}")
                answer += data
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"the door refused: {answer!r}")
            found.append(time.perf_counter() - before)
    return found


def _dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 60)


def _connect(place: Path, port: int) -> socket.socket:
    """A connection through the door at that place, its CONNECT answered."""
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(60)
    raw.connect(str(place / "door.sock"))
    raw.sendall(f"CONNECT {HOST}:{port} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        data = raw.recv(1)
        if not data:
            raise RuntimeError(f"the door refused: {answer!r}")
        answer += data
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the door refused: {answer!r}")
    return raw


def _drain(raw: socket.socket, trust: ssl.SSLContext) -> float:
    """Megabytes a second, over all that the source sends."""
    buffer = bytearray(1024 * 1024)
    size = 0
    with raw, trust.wrap_socket(raw, server_hostname=HOST) as tls:
        started = time.perf_counter()
        while count := tls.recv_into(buffer):
            size += count
    if size < TUNNEL_BYTES:
        raise RuntimeError(f"only {size} of {TUNNEL_BYTES} bytes came")
    return size / (time.perf_counter() - started) / 1e6


@contextmanager
def _source() -> Iterator[tuple[int, ssl.SSLContext]]:
    """A TLS server in a thread of its own that sends so many bytes to whoever comes, twice."""
    authority = Authority.new("outside")
    context = authority.context(HOST)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                raw, _peer = listener.accept()
                with context.wrap_socket(raw, server_side=True) as tls:
                    for _ in range(TUNNEL_BYTES // len(PIECE)):
                        tls.sendall(PIECE)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], ssl.create_default_context(cadata=authority.certificate)
        thread.join(60)
