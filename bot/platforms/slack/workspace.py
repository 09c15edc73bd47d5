"""One workspace of Slack: what is said and shown in it, and what it sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import aiohttp
import structlog
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

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
    StatusCard,
    ThreadMessage,
    Tone,
)
from bot.platforms.protocol import Busy, Inbox, MessageGone, PlatformError, Rejected, Unreachable
from bot.platforms.slack.agent import AgentStatus
from bot.platforms.slack.api import Json, SlackApi, code_of, web_client
from bot.platforms.slack.blocks import TONE_EMOJI, render
from bot.platforms.slack.files import SlackFiles
from bot.platforms.slack.gaps import missed_messages
from bot.platforms.slack.listeners import Left, SlackListeners, is_for
from bot.platforms.slack.mrkdwn import mrkdwn
from bot.platforms.slack.pacing import Pacing
from bot.platforms.slack.people import Bot, SlackPeople, find_bot
from bot.platforms.slack.reading import SlackReader
from bot.platforms.slack.streams import STILL_STREAMED, CardStreams, begun, card_metadata
from bot.platforms.slack.unfurling import Unfurling
from bot.previews import SessionPreviews
from bot.reactions import ReactionTable, short_name

NO_PREVIEWS: Mapping[str, bool] = {"unfurl_links": False, "unfurl_media": False}
"""Slack would fetch what the agent's links lead to, with whatever the agent has put into them."""

LONGEST_WAIT_SECONDS = 30.0

_PAGE = 200

_log = structlog.get_logger(__name__)

OWN_EMOJI: Mapping[str, str] = {
    SEEN: "bellhop",
    DONE: "bellhop-done",
    FAILED: "bellhop-failed",
    STOPPED: "bellhop-stopped",
    TAKEN: "bellhop-taken",
}


class SlackWorkspace:
    """The workspace that `token` was given out for.

    `repositories`: all that the menu of repositories offers. `previews`: what links to companion pages show;
    None: nothing. `paced`: calls wait for the turns that Slack allows.
    """

    def __init__(
        self,
        token: str,
        api_url: str,
        repositories: Sequence[Choice],
        *,
        reactions: ReactionTable,
        previews: SessionPreviews | None,
        paced: bool,
    ) -> None:
        self._reactions = reactions
        self._client = web_client(token, api_url)
        self._api = SlackApi(self._client, Pacing() if paced else None)
        self._files = SlackFiles(token, api_url)
        self._repositories = repositories
        self._unfurling = Unfurling(self._api, previews) if previews is not None else None
        self._reader: SlackReader | None = None
        self._listeners: SlackListeners | None = None
        self._status, self._streams = AgentStatus(self._api), CardStreams(self._api)
        self._own_emoji: frozenset[str] = frozenset()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Bot]:
        """Known to Slack, after as many tries as it takes, as long as the block; gives who we are there.

        Raises: PlatformError, when Slack does not know our token.
        """
        async with aiohttp.ClientSession() as session:
            self._client.session = session
            yield (await self._reach()).bot

    @property
    def bot(self) -> Bot:
        """Who we are there. Raises: PlatformError, before it is connected."""
        return self._known().bot

    def listen(self, inbox: Inbox, left: Left) -> None:
        """From now on what is dispatched goes to `inbox`; `left` hears that the app was taken away here."""
        self._listeners = SlackListeners(
            self._client, self._api, inbox, self._known(), self._repositories, self._unfurling, left
        )

    async def dispatch(self, request: AsyncBoltRequest) -> BoltResponse:
        """The answer to a delivery for this workspace, once what it causes is on record."""
        if self._listeners is None:
            raise RuntimeError("a delivery came before the workspace was listened to")
        return await self._listeners.dispatch(request)

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
        self._reader = SlackReader(bot, people, self._files, self._reactions)
        try:
            answer = await self._api.call("emoji.list")
            self._own_emoji = frozenset(answer.get("emoji") or ())
        except PlatformError as error:
            _log.warning("slack.no_own_emoji", detail=str(error))
        return self._reader

    async def catch_up(self, inbox: Inbox) -> None:
        """What was said to the bot while it was away is brought to `inbox`."""
        reader = self._known()
        try:
            for event in await missed_messages(self._api, reader, inbox):
                if not await is_for(inbox, reader, event):
                    continue
                message = await reader.message(event, f"missed:{event['channel']}:{event['ts']}")
                if message is not None:
                    await inbox.on_message(message)
        except PlatformError as error:
            _log.warning("slack.cannot_catch_up", detail=str(error))

    async def post(self, place: Place, content: Outgoing, key: str) -> str:
        """The id (`ts`) of the new message."""
        message = None
        if isinstance(content, StatusCard):
            message = await self._streams.begin(place, content, key, self._known().bot.team_id)
        if message is None:
            answer = await self._api.call(
                "chat.postMessage",
                channel=place.channel,
                thread_ts=place.thread or None,
                metadata=card_metadata(key),
                **NO_PREVIEWS,
                **self._shown(content),
            )
            message = str(answer["ts"])
        if isinstance(content, StatusCard):
            await self._status.follow(place, content)
        return message

    async def edit(self, place: Place, message: str, content: Outgoing) -> None:
        """The message now shows `content`."""
        if not isinstance(content, StatusCard):
            await self._update(place, message, content)
            return
        self._status.moving(place, content)
        try:
            await self._edit_card(place, message, content)
        except Rejected:
            # The status moves on, whatever becomes of the card: nobody else would take it away.
            await self._status.follow(place, content)
            raise
        await self._status.follow(place, content)

    async def _edit_card(self, place: Place, message: str, card: StatusCard) -> None:
        if await self._streams.show(place, message, card):
            return
        try:
            await self._update(place, message, card)
        except Rejected as error:
            if code_of(error) != STILL_STREAMED:
                raise
            # Begun before we were started anew: from here on it is edited.
            await self._streams.end(place, message, card)
            await self._update(place, message, card)

    async def _update(self, place: Place, message: str, content: Outgoing) -> None:
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
        """Our emoji is gone from under the message; while Slack allows no more of these, it stays."""
        if not self._api.is_free("reactions.remove"):
            return  # to wait would hold up the thread, and the card says what the emoji says
        await self._api.quietly(
            "reactions.remove",
            frozenset({"no_reaction"}),
            channel=place.channel,
            timestamp=message,
            name=self._emoji(emoji),
        )

    def _emoji(self, character: str) -> str:
        """The workspace's own emoji where it has one, otherwise the one that all have."""
        own = OWN_EMOJI.get(character, "")
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
        messages = await self._replies(place)
        for message in messages:
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if payload.get("key") == key:
                return str(message["ts"])
        return begun(messages, place, key, self._known().bot.user_id)

    async def permalink(self, place: Place, message: str) -> str | None:
        """A link to the message."""
        answer = await self._api.call("chat.getPermalink", channel=place.channel, message_ts=message)
        return str(answer["permalink"])

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
            raise PlatformError("Slack was not asked yet who we are: the workspace is not connected")
        return self._reader
