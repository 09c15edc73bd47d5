"""Artifacts: what a session leaves to look at, kept in the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from session.database import Database
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
        """Keep it; the event to append, which makes it visible. Raises: ArtifactTooLarge."""
        raise NotImplementedError

    async def get(self, session_id: str, artifact_id: str) -> Artifact | None:
        """The artifact of that session."""
        raise NotImplementedError
