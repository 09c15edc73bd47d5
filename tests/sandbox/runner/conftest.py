"""A runner outside any box, on a directory of the test: quick to start, and on several Pythons."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.environments.runner_client import RunnerClient
from sandbox.environments.runner_launch import RUNNER_SOURCE, answering_runner, runner_command


@dataclass(frozen=True, slots=True)
class Place:
    """Where a runner works in a test; `python` runs it, `path` is its PATH."""

    directory: Path
    python: str = sys.executable
    path: str = os.environ["PATH"]

    @property
    def workspace(self) -> Path:
        return self.directory / "workspace"

    @property
    def socket(self) -> Path:
        return self.directory / "runner.sock"

    def command(self, *options: str) -> list[str]:
        """How a runner of these modules is started here."""
        own = ("--workspace", self.workspace, "--state", self.directory / "state", "--socket", self.socket)
        return runner_command(
            self.directory.name, *map(str, own), *options, python=self.python, package=str(RUNNER_SOURCE)
        )

    @asynccontextmanager
    async def runner(self, *options: str) -> AsyncIterator[tuple[RunnerClient, asyncio.subprocess.Process]]:
        """A client and the process behind it, which is killed at the end."""
        self.workspace.mkdir(exist_ok=True)
        environment = {"PATH": self.path, "HOME": str(self.directory)}
        process = await asyncio.create_subprocess_exec(*self.command(*options), env=environment)
        try:
            client = await answering_runner(self.socket, 60, lambda: process.returncode is not None)
            try:
                yield client, process
            finally:
                await client.aclose()
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
async def runner(place: Place) -> AsyncIterator[RunnerClient]:
    """A client of a runner of its own."""
    async with place.runner() as (client, _):
        yield client


@pytest.fixture
def workspace(place: Place) -> Path:
    place.workspace.mkdir(exist_ok=True)
    return place.workspace


def git(directory: Path, *arguments: str) -> str:
    """What git says, with an author set."""
    author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *author, *arguments], cwd=directory, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def path_without_ripgrep(directory: Path) -> str:
    """A PATH that has the shell's and git's programs and no `rg`."""
    programs = directory / "programs"
    programs.mkdir()
    for name in ("git", "bash", "sh", "cat", "sleep", "ls"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    return str(programs)
