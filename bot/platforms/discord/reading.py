"""Discord's messages and reactions, read as every platform brings them."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import discord
from discord.components import Component, Container, SectionComponent, TextDisplay

from bot.messages import ChatMessage, Place, Reaction, ThreadMessage
from bot.platforms.discord.api import DiscordApi
from bot.platforms.discord.files import clips, read_files
from bot.platforms.discord.people import PLATFORM, DiscordPeople
from bot.platforms.discord.places import DiscordPlaces, root_of
from bot.reactions import ReactionTable
from session.people import Identity, ThreadLine

STILL_TALKING = timedelta(hours=1)
"""How long after its last word in a direct channel a session is still what people go on talking about."""

Knows = Callable[[Place], Awaitable[bool]]

UNREADABLE = "(I cannot read this message: it does not mention me)"

_SPOKEN = frozenset(
    {
        discord.MessageType.default,
        discord.MessageType.reply,
        discord.MessageType.chat_input_command,
        discord.MessageType.context_menu_command,
    }
)
_ESCAPED = re.compile(r"\\([\\*_~`|<>\[\]#+-])")
_LOOKED_AT = 20


class DiscordReader:
    """Reads what people of a guild write; its async methods may ask Discord, and raise PlatformError then."""

    def __init__(
        self,
        api: DiscordApi,
        bot: discord.ClientUser,
        guild: discord.Guild,
        people: DiscordPeople,
        places: DiscordPlaces,
        reactions: ReactionTable,
    ) -> None:
        self._api = api
        self._bot = bot
        self._guild = guild
        self._people = people
        self._places = places
        self._reactions = reactions
        self.bot_id = bot.id
        self._handed: dict[int, discord.Message] = {}

    @contextmanager
    def handed(self, message: discord.Message) -> Iterator[None]:
        """Inside the block the message is known as it was handed to us: with its text in any case."""
        self._handed[message.id] = message
        try:
            yield
        finally:
            self._handed.pop(message.id, None)

    def known(self, message_id: int) -> discord.Message | None:
        """A message that is being handed to us."""
        return self._handed.get(message_id)

    def said_by_person(self, message: discord.Message) -> bool:
        """Whether somebody of flesh wrote it, in our guild or to us alone."""
        ours = message.guild is None or message.guild.id == self._guild.id
        spoken = message.type in (discord.MessageType.default, discord.MessageType.reply)
        return ours and spoken and not message.author.bot and message.webhook_id is None

    def addresses_us(self, message: discord.Message) -> bool:
        """Whether it is said to us: it mentions us or our own role, or nobody else reads it."""
        return isinstance(message.channel, discord.DMChannel) or self._mentions_us(message)

    def may_concern(self, message: discord.Message) -> bool:
        """Whether it could be for us at all: said to us, or where something was said before. Asks nobody."""
        place = self._places.of_message(message)
        return self.addresses_us(message) or place.thread != str(message.id)

    def was_answered(self, message: discord.Message) -> bool:
        """Whether we already put an emoji under it."""
        return any(reaction.me for reaction in message.reactions)

    async def place(self, message: discord.Message, knows: Knows) -> Place:
        """The thread that it is in or begins; in a direct channel that of what is being talked about.

        `knows`: whether a session lives in a thread.
        """
        place = self._places.of_message(message)
        if isinstance(message.channel, discord.DMChannel) and message.reference is None:
            root = None if self._mentions_us(message) else await self._talked_about(message, place, knows)
            return replace(place, thread=str(root or message.id))
        return place

    async def _talked_about(self, message: discord.Message, place: Place, knows: Knows) -> int | None:
        """The request that the last words in a direct channel were about, when that was not long ago."""
        channel = message.channel
        before = await self._api.call(
            "read what was said", channel.id, lambda: _newest(channel, _LOOKED_AT, before=message)
        )
        for earlier in reversed(before):
            if message.created_at - earlier.created_at > STILL_TALKING:
                return None
            about = earlier.reference
            if earlier.author.id == self.bot_id:
                if about is not None and about.message_id:
                    return about.message_id
            elif await knows(replace(place, thread=str(earlier.id))):
                return earlier.id
        return None

    async def message(
        self, message: discord.Message, place: Place, author: Identity | None = None
    ) -> ChatMessage:
        """The message, said in `place`; `author`: who is taken for its author, None: whoever wrote it."""
        who, attachments = await asyncio.gather(
            self._author(message, author), read_files(self._api, message.attachments)
        )
        channel = self._guild.get_channel(int(place.channel))
        others = [account for account in message.mentions if account.id != self._bot.id]
        roles = [role for role in message.raw_role_mentions if role != self._own_role()]
        return ChatMessage(
            event_id=f"{place.channel}:{message.id}",
            platform=PLATFORM,
            workspace=place.workspace,
            channel=place.channel,
            thread=place.thread,
            message=str(message.id),
            author=who,
            text=self.plain(message),
            sent_at=message.created_at,
            channel_name=channel.name if channel is not None else "",
            channel_topic=str(getattr(channel, "topic", None) or ""),
            attachments=attachments,
            clips=clips(self._api, message.attachments),
            mentions_bot=self._mentions_us(message),
            mentions_others=bool(others or roles or message.mention_everyone),
            is_direct=channel is None,
            starts_thread=place.thread == str(message.id),
            context=tuple(self._quoted(message, place)),
        )

    async def _author(self, message: discord.Message, author: Identity | None) -> Identity:
        return author if author is not None else await self._people.identity(message.author)

    async def reaction(self, event: discord.RawReactionActionEvent) -> Reaction | None:
        """The reaction that was added or taken away; None when it means nothing to us."""
        name = event.emoji.name or ""
        ours = event.guild_id in (None, self._guild.id) and event.user_id != self._bot.id
        if not ours or self._reactions.meaning(name) is None:
            return None
        added = event.event_type == "REACTION_ADD"
        member = event.member
        author = await (self._people.identity(member) if member else self._people.by_id(event.user_id))
        channel = self._guild.get_channel_or_thread(event.channel_id) or discord.Object(event.channel_id)
        place = self._places.of(channel, event.message_id)
        return Reaction(
            event_id=secrets.token_hex(8),
            platform=PLATFORM,
            workspace=place.workspace,
            channel=place.channel,
            thread=place.thread,
            message=str(event.message_id),
            author=author,
            emoji=name,
            added=added,
            on_bot=event.message_author_id == self._bot.id,
        )

    def thread_message(self, message: discord.Message) -> ThreadMessage:
        """A message of a thread, with its author's name."""
        ours = message.author.id == self._bot.id
        return ThreadMessage(
            message=str(message.id),
            account=str(message.author.id),
            name="Bellhop" if ours else message.author.display_name,
            text=self.plain(message) or ("" if ours or message.attachments else UNREADABLE),
            at=message.created_at,
            from_bot=ours,
        )

    def is_spoken(self, message: discord.Message) -> bool:
        """Whether it says something, unlike the notes that Discord itself makes."""
        return message.type in _SPOKEN

    def plain(self, message: discord.Message) -> str:
        """The text as people read it: names for ids, our own mention taken out."""
        if message.author.id == self._bot.id:
            shown = "\n".join([message.content, *_texts(message.components)]).strip()
            return _ESCAPED.sub(r"\1", shown).replace("\u200b", "")
        role = self._own_role() or 0
        text = re.sub(rf"[ \t]*<@(?:!?{self._bot.id}|&{role})>[ \t]*", " ", message.content).strip()
        for account in message.mentions:
            text = re.sub(rf"<@!?{account.id}>", f"@{account.display_name}".replace("\\", r"\\"), text)
        text = re.sub(r"<@&(\d+)>", self._role_name, text)
        text = re.sub(r"<#(\d+)>", self._channel_name, text)
        return re.sub(r"<a?:(\w+):\d+>", r":\1:", text)

    def _mentions_us(self, message: discord.Message) -> bool:
        mentioned = any(account.id == self._bot.id for account in message.mentions)
        return mentioned or self._own_role() in message.raw_role_mentions

    def _own_role(self) -> int | None:
        role = self._guild.self_role
        return role.id if role is not None else None

    def _role_name(self, match: re.Match[str]) -> str:
        role = self._guild.get_role(int(match.group(1)))
        return f"@{role.name}" if role is not None else "@a role"

    def _channel_name(self, match: re.Match[str]) -> str:
        channel = self._guild.get_channel_or_thread(int(match.group(1)))
        return f"#{channel.name}" if channel is not None else "#a channel"

    def _quoted(self, message: discord.Message, place: Place) -> Iterator[ThreadLine]:
        """What was forwarded, or replied to, unless it stands in the same thread anyway."""
        for snapshot in message.message_snapshots:
            if snapshot.content:
                yield ThreadLine(author="forwarded", text=snapshot.content)
        quoted = message.reference.resolved if message.reference is not None else None
        if isinstance(quoted, discord.Message) and place.thread == str(root_of(message)) == str(message.id):
            yield ThreadLine(author=quoted.author.display_name, text=self.plain(quoted))


async def newest(channel: discord.abc.Messageable, limit: int) -> list[discord.Message]:
    """The newest messages of a channel, oldest first."""
    return await _newest(channel, limit)


async def _newest(
    channel: discord.abc.Messageable, limit: int, before: discord.abc.Snowflake | None = None
) -> list[discord.Message]:
    found = [message async for message in channel.history(limit=limit, before=before)]
    return found[::-1]


def _texts(components: Sequence[Component]) -> Iterator[str]:
    for component in components:
        if isinstance(component, TextDisplay):
            yield component.content
        elif isinstance(component, Container | SectionComponent):
            yield from _texts(component.children)
