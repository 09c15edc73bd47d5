"""The `bellhop` command as people run it, and settings with which all of it works."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import yaml

from tests.deploy.accounts import Account
from tests.emulators.model.emulator import ModelEmulator
from tests.provision import forks
from tests.provision.places import CHECKOUT
from tests.sandbox.workbench import Workbench

PATIENCE_SECONDS = 90.0
"""Starting one takes a second, but much longer where everything waits for the processor."""

AGENT, CLASSIFIER, EARS = "scripted", "scripted-fast", "scripted-ears"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code, and what it printed and complained."""

    code: int
    printed: str
    complained: str


async def run(
    module: Sequence[str],
    environment: Mapping[str, str],
    seconds: float = PATIENCE_SECONDS,
    *,
    account: Account | None = None,
    stdin: bytes | None = None,
) -> Ended:
    """`python -m <module and arguments>`, as another user where one is named."""
    words = [sys.executable, "-m", *module]
    process = await asyncio.create_subprocess_exec(
        *(account.command(*words) if account else words),
        cwd=CHECKOUT,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            printed, complained = await process.communicate(stdin)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Ended(process.returncode, printed.decode(), complained.decode())


async def bellhop(
    *arguments: str,
    environment: Mapping[str, str],
    seconds: float = PATIENCE_SECONDS,
    account: Account | None = None,
    stdin: bytes | None = None,
) -> Ended:
    """`bellhop <arguments>` under that environment and no other."""
    if account is not None:
        return await run(["deploy.command", *arguments], environment, seconds, account=account, stdin=stdin)
    with ExitStack() as stack:
        given, printed, complained = (stack.enter_context(TemporaryFile()) for _ in range(3))
        given.write(stdin or b"")
        given.seek(0)
        fork = await forks.bellhop(
            *arguments,
            environment=environment,
            stdin=given,
            output=printed,
            errors=complained,
        )
        try:
            async with asyncio.timeout(seconds):
                code = await fork.wait()
        except TimeoutError:
            fork.kill()
            await fork.wait()
            raise
        return Ended(code, _all_of(printed), _all_of(complained))


def _all_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def bare_environment(home: Path) -> dict[str, str]:
    """What every process needs, and an empty home."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "BELLHOP_HOME": str(home / "bellhop")}


def whole_environment(home: Path, model: ModelEmulator) -> dict[str, str]:
    """An embedded set-up in which everything is there; `model` knows all models by name afterwards."""
    for name in (AGENT, CLASSIFIER, EARS):
        model.script(name)
    bare = Workbench.new(home / "upstream").bare(home / "billing.git")
    catalogue = home / "repositories.yaml"
    entry = {"slug": "acme/billing", "forge": "local", "url": str(bare), "description": "invoices"}
    catalogue.write_text(yaml.safe_dump([entry]))
    return {
        **bare_environment(home),
        "REPOSITORIES_FILE": str(catalogue),
        "SANDBOX_BACKEND": "local",
        "IMAGE_INTERVAL_MINUTES": "0",
        "WARM_BOXES": "0",
        "OPENAI_BASE_URL": model.base_url,
        "OPENAI_API_KEY": model.api_key,
        "AGENT_MODEL": AGENT,
        "CLASSIFIER_MODEL": CLASSIFIER,
        "TRANSCRIPTION_MODEL": EARS,
    }
