"""One site per forge: the forge itself, a repository on it, and people who may write there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.broker.quarantine import Quarantine
from sandbox.forge.github import GitHubForge
from sandbox.forge.github_api import Patience
from sandbox.forge.github_tokens import GitHubApp
from sandbox.forge.local import LocalForge
from sandbox.forge.protocol import Credential, Forge, ForgeRepository
from tests.emulators.github import GitHubEmulator
from tests.sandbox.workbench import Workbench, git

SLUG = "acme/billing"
BRANCH = "bellhop/s1/rounding"
QUICK = Patience(attempts=3, first_wait_seconds=0.01, longest_wait_seconds=2.0)


@dataclass
class Site:
    """A forge with one repository. `bare` is where that repository really is."""

    forge: Forge
    repository: ForgeRepository
    bare: Path
    people: dict[str, Credential]
    directory: Path

    async def work(
        self, name: str = "work", content: str = "print('rounded')\n"
    ) -> tuple[Quarantine, str, str]:
        """A quarantine with one new commit on top of main: the quarantine, the commit, and its base."""
        mirror = await self.forge.sync_mirror(self.repository)
        quarantine = await Quarantine.create(self.directory / f"{name}.git", mirror.path)
        bench = Workbench.clone(self.bare, self.directory / name)
        head = bench.commit(f"Change by {name}", {"app.py": content})
        await quarantine.receive_bundle(bench.bundle(self.directory / f"{name}.bundle"))
        return quarantine, head, mirror.head_sha

    async def published(self, branch: str = BRANCH, name: str = "work", content: str = "print(1)\n") -> str:
        """A branch with one commit, published; gives the commit."""
        quarantine, head, _ = await self.work(name, content)
        await self.forge.publish(self.repository, quarantine.path, head, branch, None)
        return head

    def push_by_hand(self, branch: str, name: str = "by-hand") -> str:
        """Someone else's commit on a branch, made on the forge itself; gives the commit."""
        bench = Workbench.clone(self.bare, self.directory / name)
        if git(bench.path, "branch", "--remotes", "--list", f"origin/{branch}"):
            git(bench.path, "checkout", "--quiet", branch)
        head = bench.commit("By hand", {f"{name}.txt": name})
        git(bench.path, "push", "--quiet", str(self.bare), f"HEAD:refs/heads/{branch}")
        return head


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A bare repository to begin with."""
    return Workbench.new(tmp_path / "origin").bare(tmp_path / "origin.git")


@pytest.fixture
def local_site(tmp_path: Path, origin: Path) -> Site:
    """A site on the local forge."""
    people = tmp_path / "people.yaml"
    people.write_text(f"{SLUG}: {{ada: admin, grace: write, linus: read, stranger: none}}\n")
    forge = LocalForge(tmp_path / "forge", people=people)
    credentials = {login: Credential(login, "") for login in ("ada", "grace", "linus")}
    return Site(forge, ForgeRepository(SLUG, str(origin), "main"), origin, credentials, tmp_path)


@pytest.fixture
async def github(tmp_path: Path, origin: Path) -> AsyncIterator[GitHubEmulator]:
    """An emulated GitHub with the repository and people; fails if a request broke its rules."""
    async with GitHubEmulator(tmp_path / "github") as emulator:
        await emulator.add_repository(SLUG, origin)
        emulator.grant("ada", SLUG, "admin")
        emulator.grant("grace", SLUG, "write")
        emulator.grant("linus", SLUG, "read")
        emulator.add_user("stranger")
        yield emulator


@pytest.fixture
def github_site(tmp_path: Path, github: GitHubEmulator) -> Site:
    """A site on the emulated GitHub."""
    forge = GitHubForge(
        tmp_path / "forge",
        api_url=github.api_url,
        web_url=github.web_url,
        app=GitHubApp(str(github.app.id), github.app.private_key),
        patience=QUICK,
    )
    credentials = {login: Credential(login, github.user_token(login)) for login in ("ada", "grace", "linus")}
    repository = ForgeRepository(SLUG, github.clone_url(SLUG), "main")
    return Site(forge, repository, github.repository(SLUG).path, credentials, tmp_path)


@pytest.fixture(params=["local", pytest.param("github", marks=pytest.mark.needs("npm"))])
def site(request: pytest.FixtureRequest) -> Site:
    """The same site on every forge there is."""
    found: Site = request.getfixturevalue(f"{request.param}_site")
    return found
