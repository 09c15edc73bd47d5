"""Locks in the database: one holder each, for as long as it shows that it lives. Time is the database's."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from session.database import Database, Transaction, when

_WAITS = 5


class Locks:
    """Every lock by its name. A holder is a text that nobody else has.

    Every method raises DatabaseDown.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, name: str, holder: str, length: timedelta) -> bool:
        """Whether the lock is the holder's now, for that long; False while another's lasts."""

        async def work(transaction: Transaction) -> int:
            now = await transaction.clock()
            return await transaction.execute(
                "INSERT INTO locks (name, holder, expires_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
                "SET holder = excluded.holder, expires_at = excluded.expires_at WHERE locks.expires_at <= ?",
                name,
                holder,
                now + length,
                now,
            )

        return bool(await self._database.run(work))

    async def outlast(self, name: str, holder: str, length: timedelta) -> bool:
        """Like `take`; a lock whose holder may be dead is waited for. A living one keeps it for longer than
        it lasts."""
        for _ in range(_WAITS):
            if await self.take(name, holder, length):
                return True
            await asyncio.sleep(length.total_seconds() / (_WAITS - 1))
        return await self.take(name, holder, length)

    async def keep(self, name: str, holder: str, length: timedelta) -> bool:
        """Whether the lock still was the holder's; then it lasts that long from now."""

        async def work(transaction: Transaction) -> int:
            now = await transaction.clock()
            return await transaction.execute(
                "UPDATE locks SET expires_at = ? WHERE name = ? AND holder = ? AND expires_at > ?",
                now + length,
                name,
                holder,
                now,
            )

        return bool(await self._database.run(work))

    async def held(self, name: str) -> bool:
        """Whether anybody has it."""
        rows = await self._database.rows("SELECT expires_at FROM locks WHERE name = ?", name)
        return bool(rows) and when(rows[0]["expires_at"]) > await self._database.clock()

    async def drop(self, name: str, holder: str) -> None:
        """The lock is nobody's, unless it is another's."""
        await self._database.execute("DELETE FROM locks WHERE name = ? AND holder = ?", name, holder)
