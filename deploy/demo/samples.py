"""The demo's forge: three small sample repositories, or one of yours, as bare repositories on disk."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from session.catalogue import Approvals, Catalogue, Repository

SAMPLES = Path(__file__).with_name("repositories")
_DESCRIPTIONS: Mapping[str, str] = {
    "billing": "invoices: lines, discounts, tax and totals, exact to the cent",
    "web": "the public site: home page, bells page, rendered from text files",
    "notify": "messages to customers: the queue, the welcome and shipping texts, the soak test",
}


class NoRepository(Exception):
    """The repository that was named cannot be copied; the message says why."""


async def sample_catalogue(directory: Path) -> Catalogue:
    """The catalogue of the samples, whose bare repositories are made under `directory`."""
    return Catalogue(
        [await _sample(name, description, directory) for name, description in _DESCRIPTIONS.items()]
    )


async def own_catalogue(source: str, directory: Path) -> Catalogue:
    """A catalogue of just `source`, a path or an address; it is copied, the original is not touched.

    Raises: NoRepository.
    """
    name = source.rstrip("/").removesuffix(".git").rsplit("/", 1)[-1] or "repository"
    bare = directory / "yours" / f"{name}.git"
    bare.parent.mkdir(parents=True, exist_ok=True)
    await _git("clone", "--quiet", "--bare", "--", _address(source), str(bare))
    branch = (await _git("--git-dir", str(bare), "symbolic-ref", "--short", "HEAD")).strip()
    return Catalogue([_repository(f"yours/{name}", bare, f"your repository {name}", (), branch)])


def _address(source: str) -> str:
    path = Path(source).expanduser()
    return str(path.resolve()) if path.exists() else source


async def _sample(name: str, description: str, directory: Path) -> Repository:
    bare = directory / "acme" / f"{name}.git"
    bare.parent.mkdir(parents=True, exist_ok=True)
    await _git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch) / name
        shutil.copytree(SAMPLES / name, work, ignore=shutil.ignore_patterns("__pycache__"))
        await _git("-C", str(work), "init", "--quiet", "--initial-branch=main")
        await _git("-C", str(work), "add", "--all")
        await _git("-C", str(work), "commit", "--quiet", "--message", f"Start {name}")
        await _git("-C", str(work), "push", "--quiet", str(bare), "main")
    return _repository(f"acme/{name}", bare, description, ("python3 -m unittest",), "main")


def _repository(
    slug: str, bare: Path, description: str, verify: tuple[str, ...], default_branch: str
) -> Repository:
    return Repository(
        slug=slug,
        forge="local",
        url=str(bare),
        default_branch=default_branch,
        description=description,
        verify=verify,
        approvals=Approvals(pull_request="ask", merge="ask"),
    )


async def _git(*arguments: str) -> str:
    """What git printed. The person's own git settings count for cloning (credentials, proxies)."""
    process = await asyncio.create_subprocess_exec(
        "git",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0", **_AUTHOR},
    )
    out, err = await process.communicate()
    if process.returncode != 0:
        raise NoRepository(f"git {' '.join(arguments)} failed: {err.decode(errors='replace').strip()}")
    return out.decode()


_AUTHOR: Mapping[str, str] = {
    "GIT_AUTHOR_NAME": "Acme",
    "GIT_AUTHOR_EMAIL": "engineering@acme.example",
    "GIT_COMMITTER_NAME": "Acme",
    "GIT_COMMITTER_EMAIL": "engineering@acme.example",
}
