"""Bundle files that carry commits into boxes, and the directories through which boxes see them."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from uuid import uuid4

from sandbox.base_commit import BaseCommit
from sandbox.broker.git import run_git
from sandbox.broker.quarantine import Quarantine, make_bundle

BASE_BUNDLE = "base.bundle"
WORK_BUNDLE = "work.bundle"
KEPT_PER_REPOSITORY = 3


class Bundles:
    """Base bundles under `directory`, made once for each commit and shared by every box that starts there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def place_base(self, base: BaseCommit, inbound: Path) -> None:
        """The base branch, as `base.bundle` in a box's inbound directory."""
        kept = self._directory / base.repository.slug.lower() / f"{base.sha}.bundle"
        if not await asyncio.to_thread(kept.exists):
            await self._make(base, kept)
        await asyncio.to_thread(_place, kept, inbound / BASE_BUNDLE)

    async def place_since(self, base: BaseCommit, since: str, inbound: Path) -> bool:
        """What the base branch has beyond that commit, as `base.bundle`; False when it has nothing.

        The whole branch, where the mirror does not know the commit any more.
        """
        asked = ["merge-base", "--is-ancestor", base.sha, since]
        found = await run_git(base.mirror, *asked, accept=(0, 1, 128))
        if found.succeeded:
            return False
        if found.returncode == 128:
            await self.place_base(base, inbound)
            return True
        made = inbound / f"{uuid4().hex}.part"
        await asyncio.to_thread(inbound.mkdir, parents=True, exist_ok=True)
        await make_bundle(base.mirror, made, [f"refs/heads/{base.branch}"], without=[since])
        await asyncio.to_thread(_publish, made, inbound / BASE_BUNDLE)
        return True

    async def place_work(
        self, quarantine: Quarantine, reference: str, base: BaseCommit, inbound: Path
    ) -> None:
        """What a session's ref has beyond the base, as `work.bundle` in a box's inbound directory.

        Raises: GitFailed when it has nothing beyond the base.
        """
        made = inbound / f"{uuid4().hex}.part"
        await asyncio.to_thread(inbound.mkdir, parents=True, exist_ok=True)
        await make_bundle(quarantine.path, made, [reference], without=[base.sha])
        await asyncio.to_thread(_publish, made, inbound / WORK_BUNDLE)

    async def _make(self, base: BaseCommit, kept: Path) -> None:
        await asyncio.to_thread(kept.parent.mkdir, parents=True, exist_ok=True)
        part = kept.with_suffix(f".{uuid4().hex}.part")
        await make_bundle(base.mirror, part, [f"refs/heads/{base.branch}"])
        await asyncio.to_thread(_publish, part, kept)
        await asyncio.to_thread(_prune, kept)


def _publish(part: Path, target: Path) -> None:
    # The box's user is not ours; what is in it is for the box to read.
    part.chmod(0o644)
    part.replace(target)


def _place(kept: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{uuid4().hex}.part")
    try:
        os.link(kept, part)
    except OSError:
        shutil.copyfile(kept, part)
    _publish(part, target)


def _prune(newest: Path) -> None:
    bundles = sorted(newest.parent.glob("*.bundle"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in bundles[KEPT_PER_REPOSITORY:]:
        old.unlink(missing_ok=True)
