"""What stands outside of a box that is attacked from within: sinks that keep every byte."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from sandbox.broker.door.authority import Authority
from sandbox.environments.protocol import Environment, Sandbox, SandboxSpec
from tests.sandbox.door.stage import BOX, SESSION, Stage
from tests.sandbox.door.upstream import Got, Reply, Upstream
from tests.sandbox.environments.boxes import LIMITS, call_id, run

PROGRAM_SECONDS = 110.0


def forms(secret: str) -> tuple[bytes, ...]:
    """How the secret is carried out: raw, in base64 wherever it begins, in hex, for an address."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode(), quote(secret, safe="").encode()}
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + raw).rstrip(b"=")
        inner = text[-(-offset * 8 // 6) : (offset + len(raw)) * 8 // 6]
        found |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return tuple(sorted(found))


def carries(data: bytes, secret: str) -> bool:
    """Whether the data holds the secret in any of its forms."""
    return any(form in data for form in forms(secret))


@dataclass(slots=True)
class Sink(asyncio.DatagramProtocol):
    """One port, TCP and UDP; `heard` is all that came, `met` how often."""

    port: int = 0
    met: int = 0
    heard: bytearray = field(default_factory=bytearray)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.met += 1
        self.heard += data

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: everything is taken, and answered as a web server would."""
        self.met += 1
        data = await reader.read(65536)
        self.heard += data
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def sink(address: str = "0.0.0.0") -> AsyncIterator[Sink]:
    """A running sink, at every address of this machine unless one is named."""
    made = Sink()
    server = await asyncio.start_server(made.serve, address, 0)
    made.port = server.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: made, local_addr=(address, made.port))
    try:
        yield made
    finally:
        transport.close()
        server.close()


def reflect(got: Got) -> Reply:
    """A server that repeats the credential it was sent: as it is, and in every form, in body and headers."""
    sent = got.headers.get("authorization", "none").removeprefix("Bearer ")
    texts = [form.decode("latin-1") for form in forms(sent)] + [repr(got)]
    return Reply(headers=(("X-Sent", sent),), body="\n".join(texts).encode())


@asynccontextmanager
async def reflecting(authority: Path) -> AsyncIterator[Upstream]:
    """Such a server at 127.0.0.1, trusted by whoever trusts the file."""
    signing = Authority.new("outside")
    await asyncio.to_thread(authority.write_text, signing.certificate)
    server = Upstream(0, signing.context("127.0.0.1"), reflect)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=signing.context("127.0.0.1"))
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()


def own_addresses() -> list[str]:
    """Where this machine can be reached from beside it."""
    found = {"127.0.0.1", "172.17.0.1", *_of_this_name()}
    return sorted(found)


def _of_this_name() -> list[str]:
    try:
        return socket.gethostbyname_ex(socket.gethostname())[2]
    except OSError:
        return []


@asynccontextmanager
async def box_at(s: Stage, environment: Environment) -> AsyncIterator[Sandbox]:
    """A box whose door is the stage's."""
    s.home.chmod(0o711)
    inbound = s.home / "in"
    inbound.mkdir()
    spec = SandboxSpec(SESSION, BOX, None, inbound, limits=LIMITS, door=s.directory)
    try:
        async with await environment.open(spec) as box:
            yield box
    finally:
        await environment.remove(BOX)


def program(name: str) -> str:
    """The attacker's program of that name; it lies beside this module and runs in boxes only."""
    return Path(__file__).with_name(f"{name}.py").read_text()


async def attack(box: Sandbox, code: str, told: Mapping[str, object]) -> dict[str, str]:
    """What the attacker's code in the box says of each of its ways, by name."""
    await box.runner.write_file(call_id(), "attack.py", code)
    await box.runner.write_file(call_id(), "told.json", json.dumps(told))
    done = await run(box, "python3 attack.py told.json", PROGRAM_SECONDS)
    assert done.exit_code == 0, done.output
    outcomes: dict[str, str] = json.loads(done.output.splitlines()[-1])
    return outcomes
