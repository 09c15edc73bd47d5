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
        raise NotImplementedError

    async def by_message(self, platform: str, channel: str, message_id: str) -> ChatMessageRow | None:
        """What that message stands for."""
        raise NotImplementedError

    async def find(
        self, session_id: str, kind: MessageKind, ref: str = "", *, platform: str | None = None
    ) -> ChatMessageRow | None:
        """The newest message of that kind and ref in the session."""
        raise NotImplementedError
