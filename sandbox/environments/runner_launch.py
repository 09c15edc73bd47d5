"""How a backend starts the runner in a box, and how it waits until it answers."""

from __future__ import annotations

import asyncio
import compileall
import hashlib
import py_compile
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from sandbox.environments.runner_client import RunnerClient, RunnerGone
from sandbox.runner import VERSION

RUNNER_SOURCE = Path(__file__).resolve().parent.parent / "runner"
RUNNER_MOUNT = "/opt/bellhop/runner"
SOCKET_MOUNT = "/run/bellhop"
STATE = "/bellhop/state"
HOME = "/bellhop/home"
SOCKET_NAME = "runner.sock"
# In the directory of the placed runner: what a box without the engine's network has as /etc/hosts.
HOSTS_FILE = "hosts.conf"
ADOPT_SECONDS = 2.0
# Isolated from PYTHON… variables, the workspace and installed packages: what the agent leaves there must not
# become the runner. No byte code is written into the box.
PYTHON_OPTIONS = ("-I", "-S", "-B")


def placed_runner(directory: Path) -> Path:
    """A copy of the runner in `directory`, for an engine that does not see this program's own files.

    A worker that is itself a container shares its state directory with the host under one path, and nothing
    else. The copy is named by its content, so that versions stand side by side while boxes still use them.
    """
    sources = sorted(path for pattern in ("*.py", "*.conf") for path in RUNNER_SOURCE.glob(pattern))
    content = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in sources))
    placed = directory / f"runner-{content.hexdigest()[:16]}"
    if not placed.exists():
        unfinished = Path(tempfile.mkdtemp(prefix=".runner-", dir=directory))
        for path in sources:
            shutil.copyfile(path, unfinished / path.name)
        # A box of the same Python starts it without compiling it first; another one does not look at this.
        compileall.compile_dir(
            unfinished,
            quiet=2,
            stripdir=str(unfinished),
            prependdir=RUNNER_MOUNT,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        unfinished.chmod(0o755)
        try:
            unfinished.rename(placed)
        except OSError:  # another worker was faster
            shutil.rmtree(unfinished)
    return placed


def runner_command(
    box: str, *options: str, python: str = "python3", package: str = RUNNER_MOUNT
) -> list[str]:
    """The command line of the runner inside a box; `box` is an id that no other box ever has.

    `package` is the directory of the runner's modules.
    """
    parent, _, name = package.rpartition("/")
    # The runner speaks no TLS and its digests need no OpenSSL, which is a tenth of its start to load.
    boot = f"import sys; sys.modules.update(ssl=None, _hashlib=None); sys.path.insert(0, {parent!r}); "
    boot += f"from {name}.__main__ import main; main()"
    return [python, *PYTHON_OPTIONS, "-c", boot, "--box", box, *options]


async def adopted_runner(socket_path: Path) -> RunnerClient:
    """A client of a runner that was there before, in the version that this program speaks.

    Raises: RunnerGone when it does not answer, or was started by another version of this program.
    """
    client = await answering_runner(socket_path, ADOPT_SECONDS)
    try:
        version = (await client.ping()).version
        if version != VERSION:
            raise RunnerGone(f"the runner has version {version}, not {VERSION}")
    except BaseException:
        await client.aclose()
        raise
    return client


async def answering_runner(
    socket_path: Path, timeout_seconds: float, has_ended: Callable[[], bool] | None = None
) -> RunnerClient:
    """A client whose runner has answered.

    `has_ended` is asked now and then: True ends the waiting early.

    Raises: RunnerGone when none answered in time.
    """
    client = RunnerClient(socket_path, reconnect_seconds=0.2)
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    while True:
        try:
            await client.ping()
            return client
        except RunnerGone:
            ended = has_ended is not None and await asyncio.to_thread(has_ended)
            if ended or asyncio.get_running_loop().time() > deadline:
                await client.aclose()
                raise
        except BaseException:
            await client.aclose()
            raise
