"""Builds of repository images: what each made, how it ended, what it said."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import uuid4

from session.database import Database, Row, Transaction, when

State = Literal["building", "ready", "failed"]

_COLUMNS = (
    "id, repository, place, state, sha, fingerprint, recipe, base, reference, layers, size_bytes, cause, "
    "passing, started_at, finished_at, whole_at, shared"
)
_COPY = "copy-"
_NO_TEXT = str.maketrans("", "", "\0")
"""PostgreSQL keeps no NUL."""


class BuildLost(Exception):
    """The build is not under way any more: another worker took it for dead and went on."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a build is to make: of which commit and from what.

    `recipe` changes with all that makes a box ready, `base` with the image below it, `fingerprint` with both
    and with the checks.
    """

    repository: str
    place: str
    sha: str = ""
    fingerprint: str = ""
    recipe: str = ""
    base: str = ""


@dataclass(frozen=True, slots=True)
class ImageBuild:
    """One build. `reference`, `layers` and `size_bytes` are its image's, once it is ready; `whole_at` is when
    the image it goes back to was last built from its base. `cause` says why it failed; `passing`: it may go
    better next time though nothing changes. `shared`: what the registry calls the image, empty while it is
    not there. A copy that another place fetched from there is on record as a build of that place."""

    id: str
    made: Made
    state: State
    reference: str
    layers: int
    size_bytes: int
    cause: str
    passing: bool
    started_at: datetime
    finished_at: datetime | None
    whole_at: datetime | None
    shared: str = ""

    @property
    def is_copy(self) -> bool:
        """Whether it was built elsewhere and came here from the registry."""
        return self.id.startswith(_COPY)


class ImageBuilds:
    """The builds on record. Every method raises DatabaseDown."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def clock(self) -> datetime:
        """The time that builds go by."""
        return await self._database.clock()

    async def begin(self, made: Made) -> str:
        """The id of a build that is under way now."""
        build_id = uuid4().hex[:16]
        await self._database.execute(
            "INSERT INTO image_builds (id, repository, place, state, sha, fingerprint, recipe, base, "
            "reference, layers, size_bytes, cause, passing, log, started_at, shared) "
            "VALUES (?, ?, ?, 'building', ?, ?, ?, ?, '', 0, 0, '', ?, '', ?, '')",
            build_id, made.repository.lower(), made.place, made.sha, made.fingerprint, made.recipe, made.base,
            False, await self._database.clock(),
        )  # fmt: skip
        return build_id

    async def tell(self, build_id: str, log: str) -> None:
        """What the build has said so far. Raises: BuildLost."""
        self._one(
            await self._database.execute(
                "UPDATE image_builds SET log = ? WHERE id = ? AND state = 'building'",
                log.translate(_NO_TEXT),
                build_id,
            )
        )

    async def ready(
        self, build_id: str, reference: str, layers: int, size_bytes: int, whole_at: datetime | None
    ) -> None:
        """The image is there. whole_at: None, when it was built from its base. Raises: BuildLost."""

        async def work(transaction: Transaction) -> int:
            now = await transaction.clock()
            return await transaction.execute(
                "UPDATE image_builds SET state = 'ready', reference = ?, layers = ?, size_bytes = ?, "
                "whole_at = ?, finished_at = ? WHERE id = ? AND state = 'building'",
                reference, layers, size_bytes, whole_at or now, now, build_id,
            )  # fmt: skip

        self._one(await self._database.run(work))

    async def copied(self, build: ImageBuild, place: str, reference: str) -> None:
        """That place has, or is about to have, a copy of the image under that reference."""
        copy_id = f"{_COPY}{hashlib.sha256(f'{build.shared} {place}'.encode()).hexdigest()[:16]}"
        made = build.made
        await self._database.execute(
            f"INSERT INTO image_builds ({_COLUMNS}, log) "
            "VALUES (?, ?, ?, 'ready', ?, ?, ?, ?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO NOTHING",
            copy_id, made.repository, place, made.sha, made.fingerprint, made.recipe, made.base, reference,
            build.layers, build.size_bytes, False, build.started_at, build.finished_at, build.whole_at,
            build.shared, f"Fetched from the registry: {build.shared}",
        )  # fmt: skip

    async def share(self, build_id: str, shared: str) -> None:
        """Its image is in the registry under that name."""
        await self._database.execute("UPDATE image_builds SET shared = ? WHERE id = ?", shared, build_id)

    async def unshare(self, shared: str) -> None:
        """What has that name is not in the registry any more."""
        await self._database.execute("UPDATE image_builds SET shared = '' WHERE shared = ?", shared)

    async def fail(self, build_id: str, cause: str, *, passing: bool) -> None:
        """The build has failed, for that reason. Raises: BuildLost."""
        self._one(
            await self._database.execute(
                "UPDATE image_builds SET state = 'failed', cause = ?, passing = ?, finished_at = ? "
                "WHERE id = ? AND state = 'building'",
                cause.translate(_NO_TEXT),
                passing,
                await self._database.clock(),
                build_id,
            )
        )

    async def find(self, build_id: str) -> ImageBuild | None:
        """The build of that id."""
        rows = await self._database.rows(f"SELECT {_COLUMNS} FROM image_builds WHERE id = ?", build_id)
        return _build(rows[0]) if rows else None

    async def log(self, build_id: str) -> str:
        """What the build has said; empty for one that is not there."""
        rows = await self._database.rows("SELECT log FROM image_builds WHERE id = ?", build_id)
        return str(rows[0]["log"]) if rows else ""

    async def of(self, repository: str, place: str | None = None) -> list[ImageBuild]:
        """The repository's builds, the newest first; with a place only those made there."""
        rows = await self._database.rows(
            f"SELECT {_COLUMNS} FROM image_builds WHERE repository = ? AND (? = '' OR place = ?) "
            "ORDER BY started_at DESC, id",
            repository.lower(), place or "", place or "",
        )  # fmt: skip
        return [_build(row) for row in rows]

    async def all(self) -> list[ImageBuild]:
        """Every build, the newest first."""
        rows = await self._database.rows(f"SELECT {_COLUMNS} FROM image_builds ORDER BY started_at DESC, id")
        return [_build(row) for row in rows]

    async def forget(self, build_id: str) -> None:
        """Nothing is on record of the build."""
        await self._database.execute("DELETE FROM image_builds WHERE id = ?", build_id)

    def _one(self, changed: int) -> None:
        if not changed:
            raise BuildLost("the build is not under way any more; another worker may have taken it over")


def lock_name(repository: str) -> str:
    """The lock that whoever builds the repository's image has."""
    return f"image:{repository.lower()}"[:255]


def _build(row: Row) -> ImageBuild:
    made = Made(row["repository"], row["place"], row["sha"], row["fingerprint"], row["recipe"], row["base"])
    return ImageBuild(
        id=row["id"],
        made=made,
        state=row["state"],
        reference=row["reference"],
        layers=row["layers"],
        size_bytes=row["size_bytes"],
        cause=row["cause"],
        passing=bool(row["passing"]),
        started_at=when(row["started_at"]),
        finished_at=None if row["finished_at"] is None else when(row["finished_at"]),
        whole_at=None if row["whole_at"] is None else when(row["whole_at"]),
        shared=row["shared"],
    )
