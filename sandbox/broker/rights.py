"""Whether a person may have work done in a repository, asked of the forge each time it matters."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

from sandbox.forge.protocol import Credential, Forge, ForgeRefused, ForgeRepository, Permission
from session.people import Person

T = TypeVar("T")

WRITING = ("write", "admin")
UNAUTHORISED = 401
REMEMBERED_SECONDS = 60.0
"""So long the forge's word on a permission may be old, where nothing is about to leave."""


class Accounts(Protocol):
    """People's own accounts on one forge, by Bellhop's id of the person."""

    async def login(self, person: str) -> str | None:
        """The person's login, None when no account is linked; known also when its tokens are spent."""
        ...

    async def credential(self, person: str) -> Credential | None:
        """A credential to act as the person, None when there is none."""
        ...

    async def renewed(self, person: str, refused: Credential) -> Credential | None:
        """Another credential than the one the forge just refused; None when there is none to be had."""
        ...


class NotPermitted(Exception):
    """The person may not have this done; the message says so, `advice` what would help."""

    def __init__(self, cause: str, advice: str) -> None:
        super().__init__(cause)
        self.advice = advice


class NotApproved(Exception):
    """Nobody has said yes to exactly this; the message says what is missing."""


class Rights:
    """What people may do on the forges.

    `accounts` is by the forge's name; a forge without needs none. `account_page`: where people link them.
    `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        accounts: Mapping[str, Accounts],
        account_page: str = "your account page",
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts = accounts
        self._account_page = account_page
        self._clock = clock
        self._known: dict[tuple[str, str, str], tuple[Permission, float]] = {}

    async def require_write(
        self, forge: Forge, repository: ForgeRepository, person: Person, *, fresh: bool = True
    ) -> None:
        """Return if the person may write to the repository: now, or when it was asked within the last minute
        and nothing `fresh` is wanted.

        Raises: NotPermitted, ForgeUnavailable, ForgeRefused.
        """
        login = await self.login(forge, person)
        if login is None:
            raise NotPermitted(
                f"{person.name} has no linked account on {forge.name}, so nobody can tell whether they may "
                f"change {repository.slug}.",
                f"Say “link” to me in a direct message, or sign in with {forge.name} on "
                f"{self._account_page} and send me the code from there; then try again with 🔁.",
            )
        permission = await self._permission(forge, repository, login, fresh)
        if permission not in WRITING:
            raise NotPermitted(
                f"{person.name} ({login}) may not write to {repository.slug} on {forge.name}.",
                "Ask somebody who may, or get write access there, then retry.",
            )

    async def _permission(
        self, forge: Forge, repository: ForgeRepository, login: str, fresh: bool
    ) -> Permission:
        key = (forge.name, repository.slug, login)
        known = self._known.get(key)
        if known is not None and not fresh and self._clock() - known[1] < REMEMBERED_SECONDS:
            return known[0]
        permission = await forge.permission(repository, login)
        # A no is never remembered: whoever was just given access must not be told to wait.
        self._known.pop(key, None)
        if permission in WRITING:
            self._known[key] = (permission, self._clock())
        return permission

    async def login(self, forge: Forge, person: Person) -> str | None:
        """The person's login on the forge; None when no account is linked and the forge needs one."""
        accounts = self._accounts.get(forge.name)
        if accounts is not None:
            return await accounts.login(person.id)
        return person.forge_login or (None if forge.needs_credential else person.name)

    async def acting(
        self, forge: Forge, person: Person, act: Callable[[Credential | None], Awaitable[T]]
    ) -> T:
        """What `act` gives for the person's credential (None where there is none). A token that the forge no
        longer takes is renewed once, and `act` asked again, which must therefore be safe to repeat.

        Raises: what `act` raises, ForgeError.
        """
        credential = await self.credential(forge, person)
        try:
            return await act(credential)
        except ForgeRefused as refused:
            accounts = self._accounts.get(forge.name)
            if refused.status != UNAUTHORISED or credential is None or accounts is None:
                raise
            return await act(await accounts.renewed(person.id, credential))

    async def credential(self, forge: Forge, person: Person) -> Credential | None:
        """With what the person acts on the forge; None when no account is linked."""
        accounts = self._accounts.get(forge.name)
        if accounts is not None:
            return await accounts.credential(person.id)
        if forge.needs_credential:
            return None
        return Credential(person.forge_login or person.name, "")
