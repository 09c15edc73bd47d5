"""Somebody is about to ask for something: the one way to have a sandbox wait for them."""

from __future__ import annotations

import structlog

from session.access import reaches
from session.catalogue import Catalogue, UnknownRepository
from session.database import DatabaseDown
from session.directory import Directory
from session.listing import SessionFilter
from session.log import Log
from session.queue import Queue

_log = structlog.get_logger(__name__)

_RECENT = 5


class Warming:
    """Rings for a worker that keeps boxes waiting; see `docs/warm-pool.md`.

    It is a courtesy: nobody is told whether it was done, and nothing that it accompanies fails with it. A
    repository that is rung for again within half a minute is rung for once.
    """

    def __init__(self, log: Log, directory: Directory, catalogue: Catalogue, queue: Queue) -> None:
        self._log = log
        self._directory = directory
        self._catalogue = catalogue
        self._queue = queue

    async def for_repository(self, slug: str) -> None:
        """Something will be asked of that repository; nothing is done for one that takes no work."""
        try:
            repository = self._catalogue.get(slug)
        except UnknownRepository as error:
            _log.debug("nothing warmed", reason=str(error))
            return
        if not repository.archived:
            await self._queue.enqueue("warm_box", repository.slug, 0)

    async def for_person(self, person_id: str, slug: str = "") -> None:
        """That person will ask something of that repository; empty: of the one that their latest session with
        a repository is about. Nothing is done for people who may not prompt."""
        try:
            if not reaches(await self._directory.role(person_id), "prompter"):
                return
            slug = slug or await self._latest(person_id)
        except DatabaseDown as error:
            _log.warning("nothing warmed", reason=str(error))
            return
        if slug:
            await self.for_repository(slug)

    async def _latest(self, person_id: str) -> str:
        rows = await self._log.sessions(SessionFilter(person=person_id, limit=_RECENT))
        return next((row.repository for row in rows if row.repository), "")
