"""The hosts that work: each place with a worker, and when that was last heard of. Time is the database's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from session.database import Database, Transaction, when


@dataclass(frozen=True, slots=True)
class Host:
    """A place with a worker. `name` is the machine's, for people."""

    place: str
    name: str
    seen_at: datetime


class Hosts:
    """All hosts' signs of life. Every method raises DatabaseDown.

    length_seconds: after so long without a sign a host counts as away.
    """

    def __init__(self, database: Database, length_seconds: float = 20.0) -> None:
        self._database = database
        self._length = timedelta(seconds=length_seconds)

    async def beat(self, place: str, name: str) -> None:
        """The worker at that place lives now."""

        async def work(transaction: Transaction) -> None:
            await transaction.execute(
                f"INSERT INTO hosts (place, name, seen_at) VALUES (?, ?, {transaction.now}) "
                "ON CONFLICT (place) DO UPDATE SET name = excluded.name, seen_at = excluded.seen_at",
                place,
                name,
            )

        await self._database.run(work)

    async def leave(self, place: str) -> None:
        """The worker at that place has ended in good order: nobody waits for it."""
        await self._database.execute("DELETE FROM hosts WHERE place = ?", place)

    async def at_work(self) -> list[str]:
        """The places whose workers were heard of lately, the latest sign first."""
        now = await self._database.clock()
        return [host.place for host in await self.all() if now - host.seen_at < self._length]

    async def all(self) -> list[Host]:
        """Every host that was ever heard of and did not leave, the latest sign first."""
        rows = await self._database.rows("SELECT place, name, seen_at FROM hosts ORDER BY seen_at DESC")
        return [Host(row["place"], row["name"], when(row["seen_at"])) for row in rows]
