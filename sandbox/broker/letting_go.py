"""The broker's look, again and again, for saved work that nobody has come back to for long."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from sandbox.broker.quarantines import Quarantines
from session.database import DatabaseDown
from session.saved_work import SavedWork

log = structlog.get_logger()

LOOK_SECONDS = 3600.0


class LettingGo:
    """What sessions saved goes once they are over and have been quiet for longer than `kept`: bundles in the
    database, and quarantines on this host. Each host's broker does it: whoever comes first leaves nothing in
    the database to the others."""

    def __init__(self, saved: SavedWork, quarantines: Quarantines, kept: timedelta) -> None:
        self._saved = saved
        self._quarantines = quarantines
        self._kept = kept

    async def run(self) -> None:
        """Look for ever; what cannot be done is tried again with the next look."""
        while True:
            try:
                await self._look()
            except (DatabaseDown, OSError) as error:
                log.warning("saved work not looked at", error=str(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        bundles = await self._saved.let_go(self._kept)
        sessions = await self._quarantines.clear(self._kept, self._is_over)
        if bundles or sessions:
            log.info("saved work let go", bundles=bundles, quarantines_of_sessions=sessions)

    async def _is_over(self, session_id: str) -> bool:
        return await self._saved.is_over(session_id, self._kept)
