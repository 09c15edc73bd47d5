"""The reconciler: finds work that nobody does, and gets it done or fails it aloud."""

from __future__ import annotations

from session.database import Database
from session.leases import Leases
from session.log import Log
from session.queue import Queue


class Reconciler:
    """Sweeps for sessions that need a worker and have none."""

    def __init__(self, database: Database, log: Log, leases: Leases, queue: Queue) -> None:
        raise NotImplementedError

    async def sweep(self) -> int:
        """How many sessions were re-driven, stopped or failed. Raises: DatabaseDown."""
        raise NotImplementedError

    async def run(self, every_seconds: float = 5.0) -> None:
        """Sweep for ever; an outage of the database is waited out."""
        raise NotImplementedError
