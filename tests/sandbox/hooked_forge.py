"""A forge on this host on which something goes wrong, or happens meanwhile, as a test wants it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from sandbox.forge.local import LocalForge
from sandbox.forge.protocol import Credential, ForgeRepository, NotLinked, Permission, PullRequestRef

Hook = Callable[[Credential | None], Awaitable[object]]
"""What comes before an answer, given whose credential is used; what it raises is the answer."""


async def nothing(credential: Credential | None) -> None:
    """The forge answers at once."""


async def linked_only(credential: Credential | None) -> None:
    """Like a hosted forge, it does nothing for people who are not linked."""
    if credential is None:
        raise NotLinked("no account is linked.")


def fails(error: Exception, times: int | None = None) -> Hook:
    """It fails so many times, None: always."""
    failed = 0

    async def hook(credential: Credential | None) -> None:
        nonlocal failed
        if times is None or failed < times:
            failed += 1
            raise error

    return hook


class HookedForge(LocalForge):
    """A forge on this host with a hook before it says what somebody may do, before it takes a branch, and
    before it opens a pull request. `strict`: it wants credentials, as hosted forges do."""

    def __init__(
        self,
        directory: Path,
        *,
        people: Path | None = None,
        strict: bool = False,
        permission: Hook = nothing,
        publishing: Hook = nothing,
        opening: Hook = nothing,
    ) -> None:
        super().__init__(directory, people=people)
        self._strict = strict
        self.before_permission = permission
        self.before_publishing = publishing
        self.before_opening = opening

    @property
    def needs_credential(self) -> bool:
        return self._strict

    async def permission(self, repository: ForgeRepository, login: str) -> Permission:
        await self.before_permission(None)
        return await super().permission(repository, login)

    async def publish(
        self, repository: ForgeRepository, quarantine: Path, sha: str, branch: str, expected: str | None
    ) -> None:
        await self.before_publishing(None)
        await super().publish(repository, quarantine, sha, branch, expected)

    async def open_pull_request(
        self,
        repository: ForgeRepository,
        *,
        branch: str,
        base: str,
        title: str,
        body: str,
        draft: bool,
        as_person: Credential | None,
    ) -> PullRequestRef:
        await self.before_opening(as_person)
        return await super().open_pull_request(
            repository, branch=branch, base=base, title=title, body=body, draft=draft, as_person=as_person
        )
