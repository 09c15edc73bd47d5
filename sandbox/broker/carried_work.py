"""Work that every host's broker can get at: what one took in, kept in the database, and taken in by others.

A quarantine lies on the disk of one host. With this, a session whose host is gone goes on elsewhere with the
work that it last handed over.
"""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import structlog

from sandbox.broker.quarantine import Quarantine, QuarantineRefused, Received
from session.saved_work import SavedWork

log = structlog.get_logger()


class CarriedWork:
    """The work of all sessions in all repositories. Every method raises DatabaseDown."""

    def __init__(self, saved: SavedWork) -> None:
        self._saved = saved

    async def receive(
        self, quarantine: Quarantine, session_id: str, repository: str, bundle: Path
    ) -> Received:
        """What the bundle brought, taken in and kept for the other brokers. Raises: QuarantineRefused."""
        content = await asyncio.to_thread(_read, bundle, quarantine.limits.bundle_bytes)
        received = await quarantine.receive_bundle(content)
        await self._saved.keep(session_id, repository, received.references, content)
        return received

    async def bring(self, quarantine: Quarantine, session_id: str, repository: str) -> bool:
        """What other brokers took in after this one is in the quarantine too; whether the newest of it is
        not, since it is not kept any more. Raises: QuarantineRefused."""
        let_go = False
        for saved in await self._saved.of(session_id, repository):
            let_go = False
            # Commits that are here came here when they were new, and may have been followed by others.
            if await quarantine.resolve(saved.sha) is not None:
                continue
            if bundle := await self._saved.bundle(session_id, repository, saved.reference):
                await quarantine.receive_bundle(bundle)
                log.info("work brought from another host", session_id=session_id, reference=saved.reference)
            else:
                let_go = True
        return let_go


def _read(bundle: Path, most_bytes: int) -> bytes:
    """The worker's file; one byte too many, where it is too large. Raises: QuarantineRefused."""
    try:
        descriptor = os.open(bundle, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise QuarantineRefused(f"The bundle {bundle.name} cannot be read ({error.strerror}).") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise QuarantineRefused(f"The bundle {bundle.name} is not a regular file.")
        return file.read(most_bytes + 1)
