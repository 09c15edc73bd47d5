"""A thousand browsers watch one session: how fast events reach them all, and how they come back together.

The same load runs against a bare sse-starlette server, so that the machine's own speed drops out of the
ratio. Clients and server are processes of their own.
"""

from __future__ import annotations

import asyncio
import re
import resource
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.benchmarks.report import Report

CLIENTS = 1_000
PACED_EVENTS, PACED_PER_SECOND = 15, 2.5
BURST_EVENTS = 40
PATIENCE_SECONDS = 40.0

_MESSAGE = re.compile(rb"^id: (\d+)$|^data: .*?sent (\d+)", re.MULTILINE)


class Client(asyncio.Protocol):
    """One browser, as light as can be: it notes the ids it got and how old each event was."""

    def __init__(self, fleet: Fleet, request: bytes) -> None:
        self._fleet = fleet
        self._request = request
        self._rest = b""
        self.ids: list[int] = []
        self.ages_ms: list[float] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take whole messages."""
        if not self._rest and not self.ids and data.startswith(b"HTTP/1.1 200"):
            self._fleet.connected()
        now = time.monotonic_ns()
        whole, _, self._rest = (self._rest + data).rpartition(b"\n\n")
        for seq, sent in _MESSAGE.findall(whole):
            if seq:
                self.ids.append(int(seq))
                self._fleet.got()
            else:
                self.ages_ms.append((now - int(sent)) / 1e6)

    def close(self) -> None:
        """Cut the line."""
        if self._transport is not None:
            self._transport.abort()


class Fleet:
    """All the browsers of one run."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.clients: list[Client] = []
        self._news = asyncio.Event()
        self._connected = 0
        self.deliveries = 0

    def connected(self) -> None:
        """One more has its answer."""
        self._connected += 1
        self._news.set()

    def got(self) -> None:
        """One more message arrived somewhere."""
        self.deliveries += 1
        self._news.set()

    async def open(self, last_id: int | None = None) -> None:
        """Connect everybody."""
        parts = urlsplit(self._server.url)
        host, port = parts.hostname or "127.0.0.1", parts.port or 80
        resume = "" if last_id is None else f"Last-Event-ID: {last_id}\r\n"
        request = (
            f"GET {self._server.path}?after=5 HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Cookie: {self._server.cookie}\r\n{resume}\r\n"
        ).encode()
        loop = asyncio.get_running_loop()
        for start in range(0, CLIENTS, 100):
            made = await asyncio.gather(
                *(
                    loop.create_connection(lambda: Client(self, request), host, port)
                    for _ in range(start, start + 100)
                )
            )
            self.clients += [client for _, client in made]
        await self.until(lambda: self._connected >= CLIENTS)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for it. Raises: TimeoutError."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds():
                self._news.clear()
                await self._news.wait()

    def close(self) -> None:
        """Cut every line."""
        for client in self.clients:
            client.close()


@dataclass(frozen=True, slots=True)
class Server:
    """A server under load. `process` is its id."""

    url: str
    path: str
    cookie: str
    process: int

    async def emit(self, count: int) -> int:
        """That many events; the sequence of the last."""
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
            return int((await http.post(f"{self.url}/emit", params={"count": count})).text)

    def resident_kb(self) -> float:
        """Memory the process holds."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return float(re.findall(r"VmRSS:\s+(\d+)", status)[0])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one server did under the load."""

    p50_ms: float
    p99_ms: float
    deliveries_per_second: float
    client_kb: float
    reconnect_seconds: float
    wrong_ids: int


@asynccontextmanager
async def running(kind: str) -> AsyncIterator[Server]:
    """The server of that kind, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.benchmarks._stream_server",
        kind,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        while not line.startswith(b"http://"):  # what it logs goes to the same place
            line = await process.stdout.readline()
        url, path, cookie = line.decode().split()
        yield Server(url, path, cookie, process.pid)
    finally:
        process.stdin.close()
        await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(10):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def measure(kind: str, *, resumes: bool) -> Outcome:
    """The load on one server. resumes: whether it can give missed events to those who come back."""
    async with running(kind) as server:
        idle_kb = server.resident_kb()
        fleet = Fleet(server)
        await fleet.open()
        client_kb = (server.resident_kb() - idle_kb) / CLIENTS
        began = time.monotonic()
        for number in range(PACED_EVENTS):
            await asyncio.sleep(max(0.0, began + number / PACED_PER_SECOND - time.monotonic()))
            await server.emit(1)
        await fleet.until(lambda: fleet.deliveries >= CLIENTS * PACED_EVENTS)
        ages = sorted(age for client in fleet.clients for age in client.ages_ms)
        began = time.monotonic()
        last = await server.emit(BURST_EVENTS)
        await fleet.until(lambda: fleet.deliveries >= CLIENTS * (PACED_EVENTS + BURST_EVENTS))
        rate = CLIENTS * BURST_EVENTS / (time.monotonic() - began)
        wrong = sum(client.ids != list(range(client.ids[0], last + 1)) for client in fleet.clients)
        fleet.close()
        reconnect, lost = await _reconnect(server, last) if resumes else (0.0, 0)
    return Outcome(
        p50_ms=statistics.median(ages),
        p99_ms=ages[int(len(ages) * 0.99)],
        deliveries_per_second=rate,
        client_kb=client_kb,
        reconnect_seconds=reconnect,
        wrong_ids=wrong + lost,
    )


async def _reconnect(server: Server, last_id: int) -> tuple[float, int]:
    """Seconds until everybody, back at once, has the ten events they missed; and how many have them wrong."""
    newest = await server.emit(10)
    fleet = Fleet(server)
    began = time.monotonic()
    await fleet.open(last_id)
    await fleet.until(lambda: fleet.deliveries >= CLIENTS * 10)
    seconds = time.monotonic() - began
    wrong = sum(client.ids != list(range(last_id + 1, newest + 1)) for client in fleet.clients)
    fleet.close()
    return seconds, wrong


async def run(report: Report) -> None:
    """Both servers, one after the other, under the same load."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8_192, most), most))
    bare = await measure("bare", resumes=False)
    ours = await measure("ours", resumes=True)
    report.add("clients", CLIENTS, "")
    report.add("p50 at 2,500 deliveries/s", ours.p50_ms, "ms")
    report.add("p99 at 2,500 deliveries/s", ours.p99_ms, "ms", at_most=300)
    report.add("p99 of bare sse-starlette", bare.p99_ms, "ms")
    report.add("deliveries in a burst", ours.deliveries_per_second, "1/s", at_least=2_500)
    report.add("deliveries of bare sse-starlette", bare.deliveries_per_second, "1/s")
    ratio = ours.deliveries_per_second / bare.deliveries_per_second
    report.add("deliveries against bare", ratio, "x", at_least=0.5)
    report.add("memory per client", ours.client_kb, "KB")
    report.add("memory per client of bare", bare.client_kb, "KB")
    report.add("all clients back with what they missed", ours.reconnect_seconds, "s", at_most=15)
    report.add("clients with a missing or doubled event", ours.wrong_ids, "", at_most=0)
