"""Artifacts: what a session leaves to look at, kept in the database."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal

from session.database import Database, Transaction
from session.events import ArtifactAdded

MAX_BYTES = 2 * 1024 * 1024
"""Largest artifact kept; larger rows would slow every backup."""

ArtifactKind = Literal["diff", "log", "image", "video", "file"]


class ArtifactTooLarge(Exception):
    """The content is larger than MAX_BYTES."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact with its content."""

    artifact_id: str
    session_id: str
    kind: ArtifactKind
    name: str
    media_type: str
    content: bytes


class Artifacts:
    """The artifacts of all sessions.

    A diff's content is a JSON list of `{path, old_path, status, insertions, deletions, patch}`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self, session_id: str, kind: ArtifactKind, name: str, media_type: str, content: bytes
    ) -> ArtifactAdded:
        """Keep it; the event to append, which makes it visible. Raises: ArtifactTooLarge, DatabaseDown."""
        if len(content) > MAX_BYTES:
            raise ArtifactTooLarge(
                f"{name} has {len(content)} bytes, more than the {MAX_BYTES} that are kept"
            )
        artifact_id = f"a_{secrets.token_hex(8)}"

        async def work(transaction: Transaction) -> None:
            await transaction.execute(
                "INSERT INTO artifacts (id, session_id, kind, name, media_type, content, created_at) "
                f"VALUES (?, ?, ?, ?, ?, ?, {transaction.now})",
                artifact_id,
                session_id,
                kind,
                name,
                media_type,
                content,
            )

        await self._database.run(work)
        return ArtifactAdded(
            artifact_id=artifact_id, kind=kind, name=name, media_type=media_type, size_bytes=len(content)
        )

    async def get(self, session_id: str, artifact_id: str) -> Artifact | None:
        """The artifact of that session. Raises: DatabaseDown."""
        rows = await self._database.rows(
            "SELECT kind, name, media_type, content FROM artifacts WHERE id = ? AND session_id = ?",
            artifact_id,
            session_id,
        )
        if not rows:
            return None
        row = rows[0]
        content = bytes(row["content"])
        return Artifact(artifact_id, session_id, row["kind"], row["name"], row["media_type"], content)
