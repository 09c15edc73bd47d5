"""Two peers that run commands in a container too: mini-swe-agent's DockerEnvironment and SWE-ReX.

They are installed from the package index into an environment of their own, made on first use and kept under
`.cache/peers`, and run in a process of their own (`_peer_calls.py`): never dependencies of this project.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks._sandbox_yard import Yard
from tests.provision import processes
from tests.provision.places import CHECKOUT

MINI, REX_SESSION, REX_EXECUTE = "mini-swe-agent", "SWE-ReX in a session", "SWE-ReX with a process of its own"
NAMES = (MINI, REX_SESSION, REX_EXECUTE)
REX = "swe-rex>=1.4,<2"
# Without the rest of the agent: that is 700 MB, and these are what its DockerEnvironment imports.
WITHOUT_DEPENDENCIES = ("mini-swe-agent>=2.4,<3",)
PACKAGES = (REX, "aiohttp>=3.9,<4", "platformdirs>=4,<5", "pydantic>=2,<3", "python-dotenv>=1,<2", "rich>=13")
CACHE = CHECKOUT / ".cache" / "peers"
INSTALL_SECONDS = 600
ANSWER_SECONDS = 120.0
# SWE-ReX looks for its server in the container under this name; where an image lacks it, it installs it from
# the package index. Here it finds it, beside the packages that the server needs.
SERVER = """\
#!/bin/sh
exec python3 -m swerex.server --host 127.0.0.1 --port "$PEER_PORT" "$@"
"""


class NoPeers(Exception):
    """Peers cannot be had here; the message says why."""


class PeersEnded(Exception):
    """The peers' process ended before it answered; what it said is printed."""


@dataclass(frozen=True, slots=True)
class Peers:
    """A process with a box of each peer. `missing` has the reason of each that has none."""

    missing: Mapping[str, str]
    process: asyncio.subprocess.Process | None

    async def calls(self, name: str, count: int) -> list[float]:
        """The seconds of so many calls of `true`. Raises: PeersEnded when they fail."""
        found = await _asked(self.process, {"peer": name, "count": count})
        return [float(seconds) for seconds in found["seconds"]]


@asynccontextmanager
async def peers(boxes: Yard) -> AsyncIterator[Peers]:
    """The peers with their boxes started; without those that do not start here."""
    try:
        python, server = await asyncio.to_thread(_installed, boxes)
    except NoPeers as error:
        yield Peers(dict.fromkeys(NAMES, str(error)), None)
        return
    # Isolated: the modules beside the program have names that the libraries' would be mistaken for.
    command = [str(python), "-I", str(Path(__file__).with_name("_peer_calls.py")), boxes.image, str(server)]
    said = boxes.bench.directory / "peers.log"
    with said.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, str(processes.free_port()),
            env={**os.environ, "DOCKER_HOST": boxes.host, "HOME": str(boxes.bench.directory)},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
        )  # fmt: skip
    assert process.stdin is not None
    try:
        missing: dict[str, str] = (await _asked(process, {"peer": "all"}))["missing"]
        yield Peers(missing, process)
    except PeersEnded:
        print(said.read_text(errors="replace")[-2000:], flush=True)
        raise
    finally:
        process.stdin.close()
        await process.wait()


async def _asked(
    process: asyncio.subprocess.Process | None, question: Mapping[str, object]
) -> dict[str, dict[str, str]]:
    assert process is not None
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(question).encode() + b"\n")
    async with asyncio.timeout(ANSWER_SECONDS):
        line = await process.stdout.readline()
    if not line:
        raise PeersEnded(f"the peers ended when asked {question}")
    answer: dict[str, dict[str, str]] = json.loads(line)
    return answer


def _installed(boxes: Yard) -> tuple[Path, Path]:
    """The peers' Python, and where SWE-ReX's server is for the Python of the image. Raises: NoPeers."""
    version = _python_of(boxes)
    wanted = hashlib.sha256(repr((WITHOUT_DEPENDENCIES, PACKAGES, sys.version, version)).encode()).hexdigest()
    place = CACHE / wanted[:12]
    python, server = place / "environment" / "bin" / "python", place / "server"
    with processes.lock(CACHE / "lock"):
        if not (place / "made").exists():
            print("Installing the peers; this takes a minute, once", flush=True)
            _done(sys.executable, "-m", "venv", "--clear", str(place / "environment"))
            pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
            _done(*pip, *PACKAGES)
            _done(*pip, "--no-deps", *WITHOUT_DEPENDENCIES)
            there = ["--target", str(server / "packages"), "--upgrade", "--only-binary=:all:"]
            _done(*pip, *there, "--python-version", version, REX)
            program = server / "bin" / "swerex-remote"
            program.parent.mkdir(exist_ok=True)
            program.write_text(SERVER)
            program.chmod(0o755)
            (place / "made").touch()
    return python, server


def _python_of(boxes: Yard) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    said = boxes.client.containers.run(boxes.image, ["python3", "-c", code], remove=True)
    return str(said.decode()).strip()


def _done(*command: str) -> None:
    """The command's end. Raises: NoPeers with its last words."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines() or ["nothing was said"]
        raise NoPeers(f"it could not be installed: {said[-1][:200]}")
