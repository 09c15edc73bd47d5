"""Slack as a chat platform."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp
import structlog

from bot.messages import (
    DONE,
    FAILED,
    SEEN,
    STOPPED,
    TAKEN,
    ChatMessage,
    Choice,
    Outgoing,
    Place,
    Post,
    ThreadMessage,
    Tone,
)
from bot.platforms.protocol import Busy, Inbox, Limits, MessageGone, PlatformError, Unreachable
from bot.platforms.slack.api import POST_INTERVAL_SECONDS, Json, SlackApi, web_client
from bot.platforms.slack.blocks import MENU_OPTIONS, MESSAGE_CHARACTERS, TONE_EMOJI, render, split_post
from bot.platforms.slack.doors import SlackDoors
from bot.platforms.slack.files import SlackFiles
from bot.platforms.slack.gaps import missed_messages
from bot.platforms.slack.mrkdwn import mrkdwn
from bot.platforms.slack.people import SlackPeople, find_bot
from bot.platforms.slack.reading import PLATFORM, SlackReader
from bot.reactions import ReactionTable, short_name

METADATA_EVENT = "bellhop_message"
NO_PREVIEWS: Mapping[str, bool] = {"unfurl_links": False, "unfurl_media": False}
"""Slack would fetch what the agent's links lead to, with whatever the agent has put into them."""

LONGEST_WAIT_SECONDS = 30.0

_PAGE = 200

_log = structlog.get_logger(__name__)

_OWN_EMOJI: Mapping[str, str] = {
    SEEN: "bellhop",
    DONE: "bellhop-done",
    FAILED: "bellhop-failed",
    STOPPED: "bellhop-stopped",
    TAKEN: "bellhop-taken",
}


@dataclass(frozen=True, slots=True)
class SlackAccount:
    """How we are known to one workspace.

    `signing_secrets`: all that are valid now, for requests over HTTP (two while one is replaced).
    `app_token`: opens Socket Mode; None waits for HTTP requests instead.
    """

    bot_token: str = field(repr=False)
    app_token: str | None = field(default=None, repr=False)
    signing_secrets: tuple[str, ...] = field(default=(), repr=False)
    api_url: str = "https://slack.com/api/"


class SlackPlatform:
    """One Slack workspace.

    `repositories`: all that the menu of repositories offers. `http` is the ASGI application for
    `/slack/events` and `/slack/interactive`. `post_interval_seconds`: least time between posts in a channel.
    """

    name = PLATFORM
    limits = Limits(message_characters=MESSAGE_CHARACTERS, menu_choices=MENU_OPTIONS)

    def __init__(
        self,
        account: SlackAccount,
        repositories: Sequence[Choice],
        *,
        reactions: ReactionTable | None = None,
        post_interval_seconds: float = POST_INTERVAL_SECONDS,
    ) -> None:
        self._reactions = reactions or ReactionTable.standard()
        self._account = account
        self._client = web_client(account.bot_token, account.api_url)
        self._api = SlackApi(self._client, post_interval_seconds=post_interval_seconds)
        self._doors = SlackDoors(self._client, self._api, account.signing_secrets, repositories)
        self._reader: SlackReader | None = None
        self._own_emoji: frozenset[str] = frozenset()
        self._ready = asyncio.Event()
        self.http = self._doors.http

    async def run(self, inbox: Inbox) -> None:
        """Connect (as often as it takes), bring what was missed while we were away, then all that comes.

        Raises: PlatformError, when Slack does not know our token.
        """
        async with AsyncExitStack() as stack:
            self._client.session = await stack.enter_async_context(aiohttp.ClientSession())
            reader = await self._reach()
            self._doors.open(inbox, reader)
            stack.callback(self._doors.close)
            self._ready.set()
            if self._account.app_token:
                await stack.enter_async_context(self._doors.socket(self._account.app_token))
            await self._catch_up(inbox, reader)
            await asyncio.Event().wait()

    async def ready(self) -> None:
        """Return once the workspace is known and events are taken."""
        await self._ready.wait()

    async def _reach(self) -> SlackReader:
        tries = 0
        while True:
            try:
                return await self._introduce()
            except (Busy, Unreachable) as error:
                wait = min(0.5 * 2.0**tries, LONGEST_WAIT_SECONDS)
                wait = error.retry_after_seconds if isinstance(error, Busy) else wait
                _log.warning("slack.unreachable", detail=str(error), seconds=wait)
                tries += 1
                await asyncio.sleep(wait)

    async def _introduce(self) -> SlackReader:
        bot = await find_bot(self._api)
        people = SlackPeople(self._api, bot)
        files = SlackFiles(self._account.bot_token, self._account.api_url)
        self._reader = SlackReader(bot, people, files, self._reactions)
        try:
            answer = await self._api.call("emoji.list")
            self._own_emoji = frozenset(answer.get("emoji") or ())
        except PlatformError as error:
            _log.warning("slack.no_own_emoji", detail=str(error))
        return self._reader

    async def _catch_up(self, inbox: Inbox, reader: SlackReader) -> None:
        try:
            for event in await missed_messages(self._api, reader):
                message = await reader.message(event, f"missed:{event['channel']}:{event['ts']}")
                if message is not None:
                    await inbox.on_message(message)
        except PlatformError as error:
            _log.warning("slack.cannot_catch_up", detail=str(error))

    async def post(self, place: Place, content: Outgoing, key: str) -> str:
        """The id (`ts`) of the new message."""
        answer = await self._api.call(
            "chat.postMessage",
            channel=place.channel,
            thread_ts=place.thread or None,
            metadata={"event_type": METADATA_EVENT, "event_payload": {"key": key}},
            **NO_PREVIEWS,
            **self._shown(content),
        )
        return str(answer["ts"])

    async def edit(self, place: Place, message: str, content: Outgoing) -> None:
        """The message now shows `content`."""
        await self._api.call("chat.update", channel=place.channel, ts=message, **self._shown(content))

    def _shown(self, content: Outgoing) -> dict[str, object]:
        rendered = render(content, self._tones())
        return {"text": rendered.text, "blocks": list(rendered.blocks)}

    def _tones(self) -> Mapping[Tone, str]:
        own = {tone: f"bellhop-{tone}" for tone in TONE_EMOJI}
        return {
            tone: own[tone] if own[tone] in self._own_emoji else name for tone, name in TONE_EMOJI.items()
        }

    async def react(self, place: Place, message: str, emoji: str) -> None:
        """Our emoji stands under the message."""
        await self._api.quietly(
            "reactions.add",
            frozenset({"already_reacted"}),
            channel=place.channel,
            timestamp=message,
            name=self._emoji(emoji),
        )

    async def unreact(self, place: Place, message: str, emoji: str) -> None:
        """Our emoji is gone from under the message."""
        await self._api.quietly(
            "reactions.remove",
            frozenset({"no_reaction"}),
            channel=place.channel,
            timestamp=message,
            name=self._emoji(emoji),
        )

    def _emoji(self, character: str) -> str:
        """The workspace's own emoji where it has one, otherwise the one that all have."""
        own = _OWN_EMOJI.get(character, "")
        if own in self._own_emoji:
            return own
        return short_name(character)

    async def tell(self, place: Place, account: str, text: str) -> None:
        """Only this person sees it: in the thread, or in their direct messages where that is refused."""
        shown = mrkdwn(text)
        try:
            await self._api.call(
                "chat.postEphemeral",
                channel=place.channel,
                user=account,
                thread_ts=place.thread or None,
                text=shown,
            )
        except PlatformError as error:
            _log.info("slack.tell_directly", detail=str(error))
            await self._api.call("chat.postMessage", channel=account, text=shown, **NO_PREVIEWS)

    async def thread(self, place: Place, limit: int) -> tuple[ThreadMessage, ...]:
        """The newest messages of the thread, oldest first."""
        messages = await self._replies(place)
        return tuple([await self._known().thread_message(m) for m in messages[-limit:]])

    async def fetch(self, place: Place, message: str) -> ChatMessage | None:
        """The message as it stands; Slack finds it by channel and time alone."""
        try:
            answer = await self._api.call(
                "conversations.replies",
                channel=place.channel,
                ts=message,
                oldest=message,
                latest=message,
                inclusive=True,
                limit=_PAGE,
            )
        except MessageGone:
            return None
        found = next((m for m in answer["messages"] if m["ts"] == message), None)
        return await self._known().standing(found, place.channel) if found is not None else None

    async def find(self, place: Place, key: str) -> str | None:
        """The id of the message whose metadata holds `key`."""
        for message in await self._replies(place):
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if payload.get("key") == key:
                return str(message["ts"])
        return None

    async def permalink(self, place: Place, message: str) -> str | None:
        """A link to the message."""
        answer = await self._api.call("chat.getPermalink", channel=place.channel, message_ts=message)
        return str(answer["permalink"])

    def split(self, post: Post) -> tuple[Post, ...]:
        """The post in pieces that each fit one message."""
        return split_post(post)

    async def _replies(self, place: Place) -> list[Json]:
        messages: list[Json] = []
        cursor: str | None = None
        while True:
            answer = await self._api.call(
                "conversations.replies",
                channel=place.channel,
                ts=place.thread,
                limit=_PAGE,
                cursor=cursor,
                include_all_metadata=True,
            )
            messages.extend(answer["messages"])
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                return messages

    def _known(self) -> SlackReader:
        if self._reader is None:
            raise PlatformError("Slack was not asked yet who we are: the platform is not running")
        return self._reader
