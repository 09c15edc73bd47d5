"""The feed of one platform: every session that lives there, each told by a task of its own."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable

import structlog

from bot.platforms.protocol import Busy, Platform, PlatformError
from bot.session_feed import FeedRooms, SessionFeed
from bot.thread_posts import ThreadPosts
from session.database import DatabaseDown

FEEDS_KEPT = 500
"""Sessions whose folded state is kept between two events; others are folded anew from the log."""

LONGEST_BACKOFF_SECONDS = 60.0

_log = structlog.get_logger(__name__)


class ThreadFeed:
    """Follows the outbox of one platform until cancelled.

    A session whose channel does not take messages waits by itself, longer each time (or as long as the
    platform asked for); the others go on. `interval_seconds`: least time between two edits of one card; it is
    longer while more sessions move than the platform takes edits for.
    """

    def __init__(
        self,
        platform: Platform,
        rooms: FeedRooms,
        posts: ThreadPosts,
        *,
        interval_seconds: float = 3.0,
        backoff_seconds: float = 1.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._platform = platform
        self._rooms = rooms
        self._posts = posts
        self._interval = interval_seconds
        self._backoff = backoff_seconds
        self._now = now
        self._live: dict[str, SessionFeed] = {}
        self._resting: OrderedDict[str, SessionFeed] = OrderedDict()

    async def run(self) -> None:
        """Tell everything there is and everything that comes; ends only by being cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self._start_pending(group)
                    await self._rooms.outbox.wait(self._platform.name, skip=tuple(self._live))
                except DatabaseDown as down:
                    _log.warning("feed.database_down", platform=self._platform.name, detail=str(down))
                    await asyncio.sleep(self._backoff)

    async def _start_pending(self, group: asyncio.TaskGroup) -> None:
        pending = await self._rooms.outbox.pending(self._platform.name, skip=tuple(self._live))
        for item in pending:
            feed = self._resting.pop(item.session_id, None) or self._new_feed(item.session_id)
            self._live[item.session_id] = feed
            group.create_task(self._tell(item.session_id, feed, item.delivered_seq))

    def _new_feed(self, session_id: str) -> SessionFeed:
        return SessionFeed(
            session_id,
            self._platform,
            self._rooms,
            self._posts,
            interval_seconds=self._between_edits,
            now=self._now,
        )

    def _between_edits(self) -> float:
        often = self._platform.limits.edits_per_minute
        return max(self._interval, 60.0 * (len(self._live) - 1) / often) if often else self._interval

    async def _tell(self, session_id: str, feed: SessionFeed, delivered: int) -> None:
        tries = 0
        while True:
            try:
                await feed.catch_up(delivered)
                break
            except (PlatformError, DatabaseDown) as error:
                wait = self._wait_after(error, tries)
                _log.warning("feed.waiting", session_id=session_id, seconds=round(wait, 1), detail=str(error))
            except Exception:  # noqa: BLE001 - the edge of a job: one session must not end the others' feed
                wait = self._wait_after(None, tries)
                _log.exception("feed.failed", session_id=session_id)
            tries += 1
            await asyncio.sleep(wait)
        del self._live[session_id]
        self._resting[session_id] = feed
        while len(self._resting) > FEEDS_KEPT:
            self._resting.popitem(last=False)

    def _wait_after(self, error: Exception | None, tries: int) -> float:
        if isinstance(error, Busy):
            return error.retry_after_seconds
        longest = min(self._backoff * 2.0 ** min(tries, 10), LONGEST_BACKOFF_SECONDS)
        return longest * random.uniform(0.5, 1.0)
