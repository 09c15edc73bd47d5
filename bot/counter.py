"""What everything that comes in from chat needs: whom to ask, how to answer, what is already known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from bot.messages import ChatMessage, Choice, Place
from bot.platforms.protocol import Platform, PlatformError
from bot.reactions import ReactionTable
from session.commands import Commands
from session.customs import Customs
from session.database import DatabaseDown
from session.directory import Directory
from session.inbox import Claim
from session.log import Log
from session.messages import ChatMessages
from session.people import Identity
from session.transcripts import Transcripts

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Counter:
    """One platform and the rooms behind it.

    `repositories` are those that may be picked; `mentions_required` makes a mention mandatory in threads,
    where the channel's rules do not say otherwise. `public_url`: where companion pages begin; may be empty.
    `transcripts` None: voice clips are not listened to.
    """

    platform: Platform
    log: Log
    commands: Commands
    directory: Directory
    messages: ChatMessages
    reactions: ReactionTable
    customs: Customs
    repositories: Sequence[Choice] = ()
    mentions_required: bool = False
    transcripts: Transcripts | None = None
    public_url: str = ""

    async def tell(self, place: Place, author: Identity, text: str) -> None:
        """Only `author` sees `text`; a platform that will not is noted in the log."""
        try:
            await self.platform.tell(place, author.account, text)
        except PlatformError as error:
            _log.warning("chat.cannot_tell", platform=self.platform.name, detail=str(error), text=text)

    async def tell_once(self, event: str, place: Place, author: Identity, text: str) -> None:
        """Only `author` sees `text`, and once, however many deliveries a platform makes of `event`."""
        try:
            first = await self.log.claim(self.claim_event(f"told:{event}"))
        except DatabaseDown:
            first = True  # better said twice than not at all
        if first:
            await self.tell(place, author, text)

    async def mark(self, message: ChatMessage, emoji: str) -> None:
        """Our emoji under the message; without it the command stands all the same, and the card shows it."""
        try:
            await self.platform.react(message.place, message.message, emoji)
        except PlatformError as error:
            _log.warning("chat.cannot_react", platform=self.platform.name, detail=str(error))

    async def session_in(self, place: Place) -> str | None:
        """The session that lives in that thread."""
        return await self.log.find_by_thread(self.platform.name, place.workspace, place.channel, place.thread)

    def claim_event(self, event_id: str) -> Claim:
        """The claim of one delivery. Whatever the workspace: two that share a channel may both be told."""
        return Claim(source=self.platform.name, event_id=event_id)

    def claim_message(self, message: ChatMessage) -> Claim:
        """One request per message, however many events a platform makes of it (message, mention, 🛎️)."""
        return self.claim_event(f"message:{message.channel}:{message.message}")
