"""The reading job: finds out what short messages in a session's thread want, and tells the session."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta

import structlog

from classifier.plain_words import PlainWords
from session.commands import Commands
from session.locks import Locks
from session.log import Log
from session.people import Prompt
from session.view import SessionView

_log = structlog.get_logger(__name__)

MODEL_SECONDS = 30.0
"""Longer than the model is waited for, with the second try after an answer that makes no sense."""

_LOOK_AGAIN_SECONDS = 0.1
"""A worker says that a turn has stopped, but not that it has saved the work and let go."""


class Reading:
    """Carries `read_words` jobs out, one at a time for each session.

    stop_seconds: so long a move waits for the turn to have stopped and its work to be saved; after that the
    reconciler has it tried again.
    """

    def __init__(
        self, log: Log, commands: Commands, words: PlainWords, locks: Locks, *, stop_seconds: float = 30.0
    ) -> None:
        self._log = log
        self._commands = commands
        self._words = words
        self._locks = locks
        self._stop_seconds = stop_seconds

    async def read_words(self, session_id: str) -> None:
        """Reads what is unread in the session, in the order in which it was written. Does nothing while
        another job does: that one looks once more after it has let go.

        Emits: WordsUnderstood, with what follows from it.
        """
        lock, holder = f"reading:{session_id}", secrets.token_hex(8)
        lasts = timedelta(seconds=self._stop_seconds + MODEL_SECONDS)
        while await self._is_unread(session_id) and await self._locks.take(lock, holder, lasts):
            try:
                while (view := await self._log.view(session_id)).unread and not view.archived:
                    if not await self._read(view.unread[0], view):
                        return
                    if not await self._locks.keep(lock, holder, lasts):
                        return
            finally:
                await self._locks.drop(lock, holder)

    async def _is_unread(self, session_id: str) -> bool:
        view = await self._log.view(session_id)
        return bool(view.unread) and not view.archived

    async def _read(self, prompt: Prompt, view: SessionView) -> bool:
        """Whether the message is read now; it is not while the turn before a move takes long to stop."""
        wish = await self._words.wish(prompt, view)
        _log.info("read", session_id=view.id, meaning=wish.meaning)
        try:
            async with asyncio.timeout(self._stop_seconds):
                while True:
                    after = await self._commands.understand(view.id, prompt.id, wish)
                    if all(item.id != prompt.id for item in after.unread) or after.archived:
                        return True
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        except TimeoutError:
            _log.warning("a move waits for its turn to stop", session_id=view.id)
            return False
