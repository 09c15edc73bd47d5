"""Code in a box reaches for anything outside of it that is not its door.

Asset: the host's services, other boxes, the cloud's metadata, the company's network, the internet.
Attacker: code that the agent was made to run.
Path: the host's listeners at every address, siblings, metadata, IPv6, DNS, multicast, raw packets, abstract
sockets, virtual sockets, sockets in the host's file system.
Control: a network namespace of the box's own with loopback alone, no capability to change it, no socket
family outside of such namespaces, and a file system without the host's sockets.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from sandbox.environments.protocol import Sandbox
from tests.attacks.frame import Control, refuted
from tests.attacks.outside import Sink, attack, own_addresses, program, sink
from tests.sandbox.environments.boxes import Bench, call_id, run

CONTROLS = (
    Control(
        "sandbox/environments/hardening.py",
        (
            ('"network_mode": "none",', '"network_mode": "host",'),
            ('"network_disabled": True,', ""),
            # The engine refuses it where the network is the host's.
            ('"sysctls": NO_IPV6,', ""),
        ),
    ),
    Control("sandbox/environments/bubblewrap_builder.py", (('"--unshare-net", ', ""),)),
    Control("sandbox/environments/unshare_builder.py", (('"--net", ', ""),)),
)
PROOF = "test_nothing_outside"

# Such names are the whole machine's, and attacks run side by side.
ABSTRACT, SIBLINGS = f"bellhop-attack-{secrets.token_hex(8)}", "bellhop-sibling"
LISTENER = f"""\
import socket
tcp = socket.create_server(("0.0.0.0", 18471))
unix = socket.socket(socket.AF_UNIX)
unix.bind("\\0{SIBLINGS}")
unix.listen()
open("listening", "w").close()
while True:
    tcp.accept()
"""
SOCKETS = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/systemd/private",
    "/run/dbus/system_bus_socket",
    "/run/udev/control",
)


@asynccontextmanager
async def unix_listeners(path: Path, met: list[str]) -> AsyncIterator[None]:
    """The host's: one with a name in the file system, one with an abstract name, which notes its callers."""

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append("a socket")
        writer.close()

    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0{ABSTRACT}")
    async with (
        await asyncio.start_unix_server(note, sock=abstract),
        await asyncio.start_unix_server(note, path),
    ):
        await asyncio.to_thread(path.chmod, 0o666)
        yield


def own_addresses6() -> list[str]:
    """Those of this machine, the link-local ones without their device. Source: proc_net(5), if_inet6."""
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except FileNotFoundError:
        return ["::1"]
    return sorted({socket.inet_ntop(socket.AF_INET6, bytes.fromhex(line.split()[0])) for line in lines})


async def test_nothing_outside_is_reached_from_a_box(bench: Bench, request: pytest.FixtureRequest) -> None:
    met: list[str] = []
    async with AsyncExitStack() as stack:
        sinks: list[Sink] = [await stack.enter_async_context(sink())]
        if socket.has_ipv6 and "::1" in own_addresses6():
            sinks.append(await stack.enter_async_context(sink("::")))
        bench.directory.chmod(0o755)
        path = bench.directory / "host.sock"
        await stack.enter_async_context(unix_listeners(path, met))
        sibling = await stack.enter_async_context(bench.box())
        await listening(sibling)
        box = await stack.enter_async_context(bench.box())
        told = {
            "addresses": own_addresses(),
            "addresses6": own_addresses6(),
            "ports": [*(each.port for each in sinks), 18471, 22],
            "sockets": [str(path), str(sibling.runner.socket_path), *SOCKETS, *engine_sockets(request)],
            "abstract": [ABSTRACT, SIBLINGS],
            "name": "example.com",
        }
        outcomes = await attack(box, program("wanderer"), told)
    assert len(outcomes) > 30
    reached = [name for name, end in outcomes.items() if end == "reached"]
    heard = [*met, *(f"{each.met} callers at port {each.port}" for each in sinks if each.met)]
    refuted(not reached and not heard, f"code in the box reached {', '.join([*reached, *heard])}")


async def listening(sibling: Sandbox) -> None:
    """The sibling's servers are up."""
    await sibling.runner.write_file(call_id(), "listener.py", LISTENER)
    await sibling.runner.background_start(call_id(), "exec python3 listener.py")
    done = await run(sibling, "until [ -e listening ]; do sleep 0.02; done")
    assert done.exit_code == 0


def engine_sockets(request: pytest.FixtureRequest) -> list[str]:
    """The engine's own, which is root on the host."""
    if "docker" not in request.node.name:
        return []
    return [str(request.getfixturevalue("docker_host")).removeprefix("unix://")]
