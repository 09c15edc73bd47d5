"""Rows for sealed secrets; sealing is the broker's, this keeps bytes it cannot read."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from session.database import Database, Transaction
from session.locks import Locks

_LOCK_LENGTH = timedelta(seconds=60)
"""After this a lock counts as left behind by a dead process; a token refresh takes a few seconds."""

_LOCK_POLL_SECONDS = 0.05


class SecretRows:
    """Sealed secrets by name."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._locks = Locks(database)

    async def get(self, name: str) -> bytes | None:
        """The sealed bytes. Raises: DatabaseDown."""
        rows = await self._database.rows("SELECT sealed FROM secrets WHERE name = ?", name)
        return bytes(rows[0]["sealed"]) if rows else None

    async def put(self, name: str, sealed: bytes) -> None:
        """Keep the sealed bytes, instead of earlier ones. Raises: DatabaseDown."""

        async def work(transaction: Transaction) -> None:
            await transaction.execute(
                f"INSERT INTO secrets (name, sealed, updated_at) VALUES (?, ?, {transaction.now}) "
                "ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at",
                name,
                sealed,
            )

        await self._database.run(work)

    async def delete(self, name: str) -> None:
        """Forget them. Raises: DatabaseDown."""
        await self._database.execute("DELETE FROM secrets WHERE name = ?", name)

    async def names(self) -> list[str]:
        """Every name, sorted. Raises: DatabaseDown."""
        return sorted(row["name"] for row in await self._database.rows("SELECT name FROM secrets"))

    @asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[None]:
        """Keep every other process out of that secret while the block runs (token refresh).

        A lock that is held for longer than a minute counts as left behind. Raises: DatabaseDown.
        """
        holder = secrets.token_hex(8)
        await self._wait_for(name, holder)
        try:
            yield
        finally:
            await self._locks.drop(name, holder)

    async def _wait_for(self, name: str, holder: str) -> None:
        while True:
            if await self._locks.take(name, holder, _LOCK_LENGTH):
                return
            await asyncio.sleep(_LOCK_POLL_SECONDS)
