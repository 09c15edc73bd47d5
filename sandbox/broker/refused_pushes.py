"""Pushes that were not taken, told in their sessions: git's own words reach only whoever pushed."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from session.database import DatabaseDown
from session.holds import held_back
from session.log import Log
from session.vocabulary import Hold

log = structlog.get_logger()


class RefusedPushes:
    """Puts into sessions what kept a push from being taken."""

    def __init__(self, sessions: Log) -> None:
        self._sessions = sessions

    async def tell(self, session_id: str, holds: Sequence[Hold]) -> None:
        """The session says so, if it does not say so already. Emits: WorkHeldBack. Raises: NoSuchSession."""
        if not holds:
            return
        try:
            await self._sessions.record(session_id, lambda view: held_back(view, holds, saved=False))
        except DatabaseDown as error:
            # The push is refused all the same, and its work is looked at again before it can go out.
            log.warning("refused push not told", session_id=session_id, error=str(error))
