"""Real git repositories for tests: a working copy in which a test writes and commits as a box would."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from deploy.demo.samples import SAMPLES

AUTHOR = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def git(directory: Path, *arguments: str, stdin: bytes | None = None) -> str:
    """What git wrote, run in that directory. Raises CalledProcessError when it fails."""
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=directory,
        env={**os.environ, **AUTHOR},
        input=stdin,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return done.stdout.decode().strip()


class Workbench:
    """A working copy at `path` on branch main."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def new(cls, path: Path) -> Workbench:
        """A new repository with one commit."""
        shutil.copytree(_started(), path)
        return cls(path)

    @classmethod
    def begun(cls, path: Path, message: str, files: Mapping[str, str | bytes | None]) -> Workbench:
        """A new repository with a second commit, of those files."""
        shutil.copytree(_begun(message, tuple(files.items())), path)
        return cls(path)

    @classmethod
    def clone(cls, source: Path, path: Path) -> Workbench:
        """A copy of a repository."""
        git(source, "clone", "--quiet", "--template=", "--no-local", str(source), str(path))
        return cls(path)

    def commit(self, message: str, files: Mapping[str, str | bytes | None]) -> str:
        """Write (None: delete) files and commit; gives the commit."""
        for name, content in files.items():
            target = self.path / name
            if content is None:
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.commit_all(message)

    def commit_all(self, message: str) -> str:
        """Commit what is there; gives the commit."""
        git(self.path, "add", "--all")
        git(self.path, "commit", "--quiet", "--allow-empty", "--message", message)
        return self.head()

    def head(self) -> str:
        """The commit that is checked out."""
        return git(self.path, "rev-parse", "HEAD")

    def bare(self, path: Path) -> Path:
        """A bare copy at `path`, made without git, which would take several processes."""
        shutil.copytree(self.path / ".git", path, ignore=shutil.ignore_patterns("index", "logs", "remotes"))
        config = path / "config"
        config.write_text(config.read_text().replace("bare = false", "bare = true"))
        return path

    def bundle(self, path: Path, *, without: str | None = "origin/main", reference: str = "work") -> Path:
        """A bundle of HEAD as `refs/bellhop/<reference>`, without what the base has."""
        git(self.path, "update-ref", f"refs/bellhop/{reference}", "HEAD")
        excluded = [f"^{without}"] if without else []
        git(self.path, "bundle", "create", "--quiet", str(path), f"refs/bellhop/{reference}", *excluded)
        return path


@cache
def _started() -> Path:
    """The repository that every other one begins as: to copy it is far quicker than to run git four times."""
    path = _kept()
    git(path, "init", "--quiet", "--template=", "--initial-branch=main")
    Workbench(path).commit("Start", {"README.md": "# Billing\n", "app.py": "print('hello')\n"})
    return path


@cache
def _begun(message: str, files: tuple[tuple[str, str | bytes | None], ...]) -> Path:
    """One that many tests begin with."""
    path = _kept() / "repository"
    Workbench.new(path).commit(message, dict(files))
    return path


@cache
def sample_repository(name: str) -> Path:
    """A sample of the demo as a repository, for those who copy it."""
    source = Workbench.new(_kept() / name)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SAMPLES / name, source.path, dirs_exist_ok=True, ignore=ignore)
    source.commit_all(f"Start {name}")
    return source.path


def _kept() -> Path:
    """A directory for as long as this process lives."""
    kept = tempfile.TemporaryDirectory(prefix="bellhop-workbench-")
    atexit.register(kept.cleanup)
    return Path(kept.name)
