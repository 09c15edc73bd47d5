"""Slack's payloads, read: messages, reactions and button presses as every platform brings them."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import get_args

from bot.messages import Action, ChatMessage, Place, Press, Reaction, ThreadMessage
from bot.platforms.slack.api import Json
from bot.platforms.slack.blocks import ACTION_PREFIX, read_button_value
from bot.platforms.slack.files import SlackFiles
from bot.platforms.slack.people import Bot, SlackPeople
from bot.reactions import ReactionTable
from session.people import Identity, ThreadLine

PLATFORM = "slack"

_READ_SUBTYPES = frozenset({"", "file_share", "thread_broadcast"})
_USER = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")
_CHANNEL = re.compile(r"<#([CG][A-Z0-9]+)(?:\|([^>]*))?>")
_SPECIAL = re.compile(r"<!(\w+)[^>]*>")
_LINK = re.compile(r"<((?:https?|mailto):[^|>]+)(?:\|([^>]*))?>")
_ACTIONS: frozenset[Action] = frozenset(get_args(Action))


def said_at(ts: str) -> datetime:
    """When the message with that id was said: a Slack message id is its time."""
    return datetime.fromtimestamp(float(ts), UTC)


class SlackReader:
    """Reads what the workspace of `bot` sends; its async methods ask Slack for names and may raise for it."""

    def __init__(self, bot: Bot, people: SlackPeople, files: SlackFiles, reactions: ReactionTable) -> None:
        self.bot = bot
        self._people = people
        self._files = files
        self._reactions = reactions

    async def message(self, event: Json, event_id: str) -> ChatMessage | None:
        """The message of a `message` or `app_mention` event; None when no person of flesh wrote it."""
        user = str(event.get("user") or "")
        if event.get("subtype", "") not in _READ_SUBTYPES or event.get("bot_id") or not user:
            return None
        if user == self.bot.user_id:
            return None
        return await self._read(event, event_id, str(event["channel"]))

    def addresses_us(self, event: Json) -> bool:
        """Whether the message is said to us: a mention, or a direct message."""
        mention = f"<@{self.bot.user_id}" in str(event.get("text", ""))
        return mention or event.get("channel_type") == "im" or event.get("type") == "app_mention"

    def is_reply(self, event: Json) -> bool:
        """Whether the message is in a thread that another began."""
        return bool(event.get("thread_ts", event.get("ts")) != event.get("ts"))

    def place(self, event: Json) -> Place:
        """The thread that the message is in or begins."""
        thread = str(event.get("thread_ts") or event["ts"])
        return Place(self.bot.team_id, str(event["channel"]), thread)

    def where(self, event: Json) -> Place:
        """The channel that an event tells of."""
        return Place(self.bot.team_id, str(event["channel"]))

    def was_answered(self, message: Json) -> bool:
        """Whether we already put an emoji under the message or spoke in its thread."""
        reacted = any(self.bot.user_id in r.get("users", ()) for r in message.get("reactions") or ())
        return reacted or self.bot.user_id in (message.get("reply_users") or ())

    async def standing(self, message: Json, channel_id: str) -> ChatMessage:
        """A message as history holds it, whoever wrote it."""
        return await self._read(message, f"{channel_id}:{message['ts']}", channel_id)

    async def _read(self, event: Json, event_id: str, channel_id: str) -> ChatMessage:
        user, raw, ts = str(event.get("user") or ""), str(event.get("text") or ""), str(event["ts"])
        author, channel, text, attachments = await asyncio.gather(
            self._people.identity(user or self.bot.user_id),
            self._people.channel(channel_id),
            self.plain(raw),
            self._files.attachments(event.get("files") or ()),
        )
        thread = str(event.get("thread_ts") or ts)
        mentioned = set(_USER.findall(raw))
        return ChatMessage(
            event_id=event_id,
            platform=PLATFORM,
            workspace=self.bot.team_id,
            channel=channel_id,
            thread=thread,
            message=ts,
            author=author,
            text=text,
            sent_at=said_at(ts),
            channel_name=channel.name,
            channel_topic=channel.topic,
            attachments=attachments,
            clips=self._files.clips(event.get("files") or ()),
            mentions_bot=self.bot.user_id in mentioned,
            mentions_others=bool(mentioned - {self.bot.user_id}),
            is_direct=event.get("channel_type") == "im" or channel.is_direct,
            starts_thread=thread == ts,
            context=tuple(_quoted(event)),
        )

    async def thread_message(self, message: Json) -> ThreadMessage:
        """A message of a thread, with its author's name."""
        user = str(message.get("user") or "")
        ours = user == self.bot.user_id or (
            bool(self.bot.bot_id) and message.get("bot_id") == self.bot.bot_id
        )
        name = "Bellhop" if ours else str(message.get("username") or "")
        return ThreadMessage(
            message=str(message["ts"]),
            account=user,
            name=name or (await self._people.name(user) if user else "somebody"),
            text=await self.plain(str(message.get("text") or "")),
            at=said_at(str(message["ts"])),
            from_bot=ours,
        )

    async def reaction(self, event: Json, event_id: str) -> Reaction | None:
        """The reaction that was added or removed, as the event says; None when it means nothing to us."""
        item = event.get("item") or {}
        if self._reactions.meaning(str(event["reaction"])) is None:
            return None
        if item.get("type") != "message" or event.get("user") == self.bot.user_id:
            return None
        return Reaction(
            event_id=event_id,
            platform=PLATFORM,
            workspace=self.bot.team_id,
            channel=str(item["channel"]),
            thread="",
            message=str(item["ts"]),
            author=await self._people.identity(str(event["user"])),
            emoji=str(event["reaction"]),
            added=event["type"] == "reaction_added",
            on_bot=event.get("item_user") == self.bot.user_id,
        )

    async def stop(self, event: Json, event_id: str) -> Reaction:
        """Slack's own Stop button: it says what 🛑 under the thread's first message says."""
        root = str(event["thread_ts"])
        return await self._sign("🛑", str(event["channel"]), root, root, str(event["user"]), event_id)

    async def shortcut(self, body: Json) -> Reaction:
        """The entry “Send to Bellhop” in a message's menu: it says what 🛎️ under that message says."""
        message, user = body["message"], str(body["user"]["id"])
        ts = str(message["ts"])
        thread = str(message.get("thread_ts") or ts)
        event_id = f"shortcut:{ts}:{body.get('action_ts')}:{user}"
        return await self._sign("🛎️", str(body["channel"]["id"]), thread, ts, user, event_id)

    async def _sign(
        self, emoji: str, channel: str, thread: str, message: str, user: str, event_id: str
    ) -> Reaction:
        return Reaction(
            event_id=event_id,
            platform=PLATFORM,
            workspace=self.bot.team_id,
            channel=channel,
            thread=thread,
            message=message,
            author=await self._people.identity(user),
            emoji=emoji,
        )

    async def arrived(self, event: Json) -> Identity:
        """Who opened the app's home, or their direct messages with us."""
        return await self._people.identity(str(event["user"]))

    @property
    def workspace(self) -> str:
        """The id of the workspace."""
        return self.bot.team_id

    async def person(self, user_id: str) -> Identity:
        """The account with that id."""
        return await self._people.identity(user_id)

    async def channel_name(self, channel_id: str) -> str:
        """The channel's name; empty when Slack does not tell."""
        return (await self._people.channel(channel_id)).name

    async def press(self, body: Json) -> Press | None:
        """The button or menu entry of a `block_actions` payload; None for what only opens a page."""
        action = body["actions"][0]
        name = _action_name(str(action.get("action_id", "")))
        if name is None or name == "open_page":
            return None
        try:
            session_id, ref, value = _carried(action)
        except ValueError:
            return None
        message: Json = body.get("message") or {}
        ts = str(message.get("ts") or (body.get("container") or {}).get("message_ts") or "")
        return Press(
            event_id=f"press:{ts}:{action.get('action_ts')}:{body['user']['id']}",
            platform=PLATFORM,
            workspace=self.bot.team_id,
            channel=str(body["channel"]["id"]),
            thread=str(message.get("thread_ts") or ts),
            message=ts,
            author=await self._people.identity(str(body["user"]["id"])),
            action=name,
            session_id=session_id,
            ref=ref,
            value=value,
        )

    async def plain(self, text: str) -> str:
        """The text as people read it: names for ids, our own mention taken out."""
        text = re.sub(rf"[ \t]*<@{self.bot.user_id}(?:\|[^>]*)?>[ \t]*", " ", text).strip()
        ids = set(_USER.findall(text))
        names = dict(zip(ids, await asyncio.gather(*(self._people.name(i) for i in ids)), strict=True))
        text = _USER.sub(lambda m: f"@{names[m.group(1)]}", text)
        text = _CHANNEL.sub(lambda m: f"#{m.group(2) or m.group(1)}", text)
        text = _SPECIAL.sub(lambda m: f"@{m.group(1)}", text)
        text = _LINK.sub(_shown_link, text)
        return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _shown_link(match: re.Match[str]) -> str:
    address, label = match.group(1), match.group(2)
    bare = address.removeprefix("mailto:")
    return bare if not label or label in (address, bare) else f"{label} ({bare})"


def _quoted(event: Json) -> list[ThreadLine]:
    """Messages that were forwarded or quoted with this one."""
    return [
        ThreadLine(author=str(a.get("author_name") or "quoted"), text=str(a["text"]))
        for a in event.get("attachments") or ()
        if a.get("text") and (a.get("is_msg_unfurl") or a.get("is_share"))
    ]


def _action_name(action_id: str) -> Action | None:
    prefix, _, rest = action_id.partition(":")
    wanted = rest.partition(":")[0]
    if prefix != ACTION_PREFIX:
        return None
    return next((action for action in _ACTIONS if action == wanted), None)


def _carried(action: Json) -> tuple[str, str, str]:
    """Session, ref and value. Raises: ValueError, when the action is none of ours."""
    chosen = action.get("selected_option")
    if chosen is None:
        return read_button_value(str(action.get("value", "")))
    parts = str(action.get("block_id", "")).split(":", 3)
    if len(parts) != 4 or parts[0] != ACTION_PREFIX:
        raise ValueError(f"not one of our menus: {action.get('block_id')!r}")
    return parts[2], parts[3], str(chosen["value"])
