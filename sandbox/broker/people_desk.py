"""The broker's desk for people: whose account on the forge is whose, and how it became theirs.

Tokens come in here and never go out: a page hands over the code that a browser brought back, a chat is given
a code to type in, and both hear who it was.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from sandbox.broker.accounts import GitHubAccounts, UserTokens
from sandbox.broker.github_sign_in import DeviceRefused, GitHubSignIn
from sandbox.broker.operations import Caller, Operation, Part
from sandbox.forge.protocol import Credential, ForgeUnavailable
from session import broker_accounts as wire
from session.audit import Audit, AuditEntry
from session.broker import Nothing
from session.directory import Directory, IdentityTaken

T = TypeVar("T")

GRANT_SECONDS = 600.0
MAX_WAITING = 1000
LONGEST_WAIT_SECONDS = 50.0
WEB: frozenset[Part] = frozenset({"web"})
BOT: frozenset[Part] = frozenset({"bot"})
FRONT: frozenset[Part] = frozenset({"web", "bot"})


class GrantGone(Exception):
    """What was to be kept is not here any more; the message says to begin again."""


@dataclass(frozen=True, slots=True)
class LinkedAccounts:
    """A person's GitHub account under whichever id they had when they linked it."""

    directory: Directory
    accounts: GitHubAccounts

    async def login(self, person: str) -> str | None:
        """The person's login, None when no account is linked; known also when its tokens are spent."""
        linked = await self._first(person, self.accounts.login)
        if linked is not None:
            return linked
        now = await self.directory.person(person)
        return now.forge_login if now else None

    async def credential(self, person: str) -> Credential | None:
        """A credential to act as the person, None when there is none."""
        return await self._first(person, self.accounts.credential)

    async def renewed(self, person: str, refused: Credential) -> Credential | None:
        """Another credential than the refused one, None when there is none to be had."""
        return await self._first(person, lambda known_as: self.accounts.renewed(known_as, refused))

    async def _first(self, person: str, ask: Callable[[str], Awaitable[T | None]]) -> T | None:
        for known_as in await self.directory.ids(person):
            if (found := await ask(known_as)) is not None:
                return found
        return None


class PeopleDesk:
    """Links and unlinks people's GitHub accounts. `clock` gives monotonic seconds."""

    def __init__(
        self,
        sign_in: GitHubSignIn,
        accounts: GitHubAccounts,
        directory: Directory,
        audit: Audit,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sign_in = sign_in
        self._accounts = accounts
        self._directory = directory
        self._audit = audit
        self._clock = clock
        self._grants: dict[str, tuple[UserTokens, float]] = {}
        self._devices: dict[str, asyncio.Task[wire.DeviceOutcome]] = {}

    def operations(self) -> list[Operation[Any, Any]]:
        """The desk's operations, for web and bot."""
        return [
            Operation("account.exchange", wire.SignIn, WEB, self.exchange),
            Operation("account.keep", wire.Keep, WEB, self.keep),
            Operation("account.unlink", wire.OfPerson, FRONT, self.unlink),
            Operation("account.linked", wire.OfPerson, FRONT, self.linked),
            Operation("account.device_start", wire.OfPerson, BOT, self.device_start),
            Operation("account.device_wait", wire.OfDevice, BOT, self.device_wait),
        ]

    async def aclose(self) -> None:
        """Nobody is waited for any more."""
        tasks = [*self._devices.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def exchange(self, asked: wire.SignIn, caller: Caller) -> wire.SignedIn:
        """Who came back from GitHub with that code; their tokens wait under the grant for ten minutes.

        Raises: ForgeRefused, ForgeUnavailable.
        """
        signed_in = await self._sign_in.exchange(
            asked.code, asked.verifier, asked.redirect_uri, asked.organisations
        )
        grant = secrets.token_urlsafe(24)
        self._forget_old()
        self._grants[grant] = (signed_in.tokens, self._clock() + GRANT_SECONDS)
        user = signed_in.user
        return wire.SignedIn(
            user_id=user.id, login=user.login, name=user.name, member=signed_in.member, grant=grant
        )

    async def keep(self, asked: wire.Keep, caller: Caller) -> Nothing:
        """The grant's tokens are the person's from now on. Raises: GrantGone."""
        self._forget_old()
        found = self._grants.pop(asked.grant, None)
        if found is None:
            raise GrantGone("That took too long. Please sign in with GitHub again.")
        await self._link(asked.person_id, found[0], caller)
        return Nothing()

    async def unlink(self, asked: wire.OfPerson, caller: Caller) -> Nothing:
        """The person's tokens are gone, under whichever of their ids they were kept."""
        await self._audited("account.unlink", asked.person_id, caller)
        for known_as in await self._directory.ids(asked.person_id):
            await self._accounts.unlink(known_as)
        await self._directory.set_forge_login(asked.person_id, None)
        return Nothing()

    async def linked(self, asked: wire.OfPerson, caller: Caller) -> wire.Linked:
        """The person's login."""
        accounts = LinkedAccounts(self._directory, self._accounts)
        return wire.Linked(login=await accounts.login(asked.person_id))

    async def device_start(self, asked: wire.OfPerson, caller: Caller) -> wire.DeviceCode:
        """A code that the person types in at GitHub. Raises: ForgeRefused, ForgeUnavailable."""
        started = await self._sign_in.device_start()
        handle = secrets.token_urlsafe(24)
        self._devices = {key: task for key, task in self._devices.items() if not task.done()}
        if len(self._devices) >= MAX_WAITING:
            raise ForgeUnavailable("Too many people are linking their accounts just now; try again later.")
        waiting: Coroutine[None, None, wire.DeviceOutcome] = self._typed_in(
            asked.person_id, started.device_code, started.interval, started.expires_in, caller
        )
        self._devices[handle] = asyncio.create_task(waiting, name=f"device flow of {asked.person_id}")
        return wire.DeviceCode(
            handle=handle,
            user_code=started.user_code,
            verification_uri=started.verification_uri,
            expires_in=started.expires_in,
            interval=started.interval,
        )

    async def device_wait(self, asked: wire.OfDevice, caller: Caller) -> wire.DeviceOutcome:
        """What became of the code; an empty outcome while it is still open. Raises: GrantGone."""
        task = self._devices.get(asked.handle)
        if task is None:
            raise GrantGone("That code is not known any more. Say “link” again.")
        await asyncio.wait([task], timeout=LONGEST_WAIT_SECONDS)
        return task.result() if task.done() else wire.DeviceOutcome()

    async def _typed_in(
        self, person_id: str, device_code: str, interval: float, expires_in: float, caller: Caller
    ) -> wire.DeviceOutcome:
        try:
            user, tokens = await self._sign_in.device_user(device_code, interval, expires_in)
            # Whoever signs in with this account on the pages later is the same person.
            identity = wire.github_identity(self._sign_in.web_url, user.id, user.login, user.name)
            await self._directory.link(person_id, identity)
        except IdentityTaken:
            return wire.DeviceOutcome(
                refusal=f"The GitHub account {user.login} already belongs to somebody else here."
            )
        except (DeviceRefused, ForgeUnavailable) as refused:
            return wire.DeviceOutcome(refusal=str(refused))
        await self._link(person_id, tokens, caller)
        return wire.DeviceOutcome(login=tokens.login)

    async def _link(self, person_id: str, tokens: UserTokens, caller: Caller) -> None:
        await self._audited("account.link", f"{person_id} {tokens.login}", caller)
        # Kept under the id that the person has now; an older id's tokens would be found before them.
        for known_as in await self._directory.ids(person_id):
            await self._accounts.unlink(known_as)
        await self._accounts.link(person_id, tokens)
        await self._directory.set_forge_login(person_id, tokens.login)

    async def _audited(self, action: str, target: str, caller: Caller) -> None:
        entry = AuditEntry(actor=caller.name, action=action, target=target, outcome="allowed")
        await self._audit.write(entry)

    def _forget_old(self) -> None:
        now = self._clock()
        self._grants = {key: kept for key, kept in self._grants.items() if kept[1] > now}
