"""Linking a GitHub account from chat: a code that only the person sees, and word when it was typed in."""

from __future__ import annotations

import asyncio
import secrets

import structlog

from bot import sentences
from bot.counter import Counter
from bot.messages import TAKEN, ChatMessage
from session.broker import BrokerDown, BrokerRefused
from session.broker_accounts import DeviceCode, GitHubAccounts
from session.inbox import Claim
from session.people import Person

GRACE_SECONDS = 60.0
"""How long after a code's end its outcome is still waited for."""

_log = structlog.get_logger(__name__)


class Linking:
    """Links and unlinks the GitHub account of whoever asks, by GitHub's device flow.

    `waiting`: where the wait for a code to be typed in runs, one at a time for each person. Its methods raise
    BrokerDown, BrokerRefused and DatabaseDown.
    """

    def __init__(self, counter: Counter, accounts: GitHubAccounts, waiting: asyncio.TaskGroup) -> None:
        self._counter = counter
        self._accounts = accounts
        self._waiting = waiting
        self._waits: dict[str, asyncio.Task[None]] = {}

    async def link(self, message: ChatMessage, person: Person, claim: Claim) -> None:
        """Tells the person a code, and later what became of it; a newer code takes an older one's place."""
        if not await self._counter.log.claim(claim):
            return
        code = await self._accounts.device_start(person.id)
        await self._counter.mark(message, TAKEN)
        await self._counter.tell(message.place, message.author, sentences.accounts.device_code(code))
        former = self._waits.get(person.id)
        if former is not None:
            former.cancel()
        wait = self._waiting.create_task(self._wait(message, code), name=f"linking {person.id}")
        self._waits[person.id] = wait
        wait.add_done_callback(lambda done: self._forget(person.id, done))

    async def unlink(self, message: ChatMessage, person: Person, claim: Claim) -> None:
        """Nothing is done in the person's name on GitHub any more."""
        if not await self._counter.log.claim(claim):
            return
        login = await self._accounts.linked(person.id)
        if login is not None:
            await self._accounts.unlink(person.id)
        await self._counter.mark(message, TAKEN)
        said = sentences.accounts.NOT_LINKED if login is None else sentences.accounts.unlinked(login)
        await self._counter.tell(message.place, message.author, said)

    async def _wait(self, message: ChatMessage, code: DeviceCode) -> None:
        try:
            said = await self._outcome(code)
        except (BrokerDown, BrokerRefused) as trouble:
            said = str(trouble)
        except Exception:  # noqa: BLE001 - the edge of a job: one person's link must not end the others' chat
            number = secrets.token_hex(4)
            _log.exception("chat.linking_failed", code=number, platform=self._counter.platform.name)
            said = sentences.refusals.unexpected(number)
        await self._counter.tell(message.place, message.author, said)

    async def _outcome(self, code: DeviceCode) -> str:
        try:
            async with asyncio.timeout(code.expires_in + GRACE_SECONDS):
                while True:
                    outcome = await self._accounts.device_wait(code.handle)
                    if outcome.login:
                        return sentences.accounts.github_linked(outcome.login)
                    if outcome.refusal:
                        return outcome.refusal
        except TimeoutError:
            return sentences.accounts.CODE_RAN_OUT

    def _forget(self, person_id: str, done: asyncio.Task[None]) -> None:
        if self._waits.get(person_id) is done:
            del self._waits[person_id]
