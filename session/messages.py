"""Chat messages the bot sent or was sent: which one shows what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from session.database import Database

MessageKind = Literal[
    "card",
    "approval",
    "question",
    "repository",
    "answer",
    "update",
    "failure",
    "notice",
    "request",
]


@dataclass(frozen=True, slots=True)
class ChatMessageRow:
    """A message in chat and what it stands for; `ref` is the id of the approval, question, turn or prompt."""

    platform: str
    channel: str
    message_id: str
    session_id: str
    kind: MessageKind
    ref: str
    revision: int


class ChatMessages:
    """Every chat message that a reaction or an edit can refer to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remember(
        self,
        platform: str,
        channel: str,
        message_id: str,
        session_id: str,
        kind: MessageKind,
        ref: str = "",
        revision: int = 0,
    ) -> None:
        """Keep it; a newer revision of the same message replaces an older one, never the other way round."""
        await self._database.execute(
            "INSERT INTO messages (platform, channel, message_id, session_id, kind, ref, revision) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (platform, channel, message_id) DO UPDATE SET "
            "session_id = excluded.session_id, kind = excluded.kind, ref = excluded.ref, "
            "revision = excluded.revision WHERE messages.revision <= excluded.revision",
            platform,
            channel,
            message_id,
            session_id,
            kind,
            ref,
            revision,
        )

    async def by_message(self, platform: str, channel: str, message_id: str) -> ChatMessageRow | None:
        """What that message stands for."""
        return await self._first(
            "platform = ? AND channel = ? AND message_id = ?", platform, channel, message_id
        )

    async def find(
        self, session_id: str, kind: MessageKind, ref: str = "", *, platform: str | None = None
    ) -> ChatMessageRow | None:
        """The newest message of that kind and ref in the session; platform None: on any."""
        if platform is None:
            return await self._first("session_id = ? AND kind = ? AND ref = ?", session_id, kind, ref)
        return await self._first(
            "session_id = ? AND kind = ? AND ref = ? AND platform = ?", session_id, kind, ref, platform
        )

    async def _first(self, condition: str, *parameters: object) -> ChatMessageRow | None:
        rows = await self._database.rows(
            "SELECT platform, channel, message_id, session_id, kind, ref, revision FROM messages "
            f"WHERE {condition} ORDER BY id DESC LIMIT 1",
            *parameters,
        )
        return ChatMessageRow(**rows[0]) if rows else None
