"""Hints that somebody is about to ask something of a repository, as the warm pools of all hosts see them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import timedelta

from session.database import Database, Transaction
from session.pulse import Pulse, Watch

_BELL = "warm hints"
"""What is rung for in place of a session: no session's id has a space in it."""


class WarmHints:
    """The hints that have not run out. Time is the database's."""

    def __init__(self, database: Database, pulse: Pulse) -> None:
        self._database = database
        self._pulse = pulse

    async def give(self, repository: str, length: timedelta) -> None:
        """Something will be asked of that repository in that time; all who watch are told. Raises:
        DatabaseDown."""

        async def work(transaction: Transaction) -> None:
            now = await transaction.clock()
            await transaction.execute("DELETE FROM warm_hints WHERE ends_at <= ?", now)
            await transaction.execute(
                "INSERT INTO warm_hints (repository, ends_at) VALUES (?, ?) "
                "ON CONFLICT (repository) DO UPDATE SET ends_at = excluded.ends_at",
                *(repository, now + length),
            )

        await self._database.run(work)
        await self._pulse.ring(_BELL)

    async def live(self) -> list[str]:
        """The repositories that something will be asked of. Raises: DatabaseDown."""
        rows = await self._database.rows(
            "SELECT repository FROM warm_hints WHERE ends_at > ? ORDER BY repository",
            await self._database.clock(),
        )
        return [str(row["repository"]) for row in rows]

    def watch(self) -> AbstractContextManager[Watch]:
        """A wait for hints, of whichever process they come."""
        return self._pulse.watch(_BELL)
