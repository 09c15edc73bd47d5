"""The front door of one platform: what people do in chat becomes commands, and nothing is lost in silence."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from bot import sentences
from bot.counter import Counter
from bot.decisions import Decisions
from bot.home import home_of
from bot.home_view import Home
from bot.linking import Linking
from bot.messages import ChatMessage, CommandWords, Inquiry, Place, Press, Reaction
from bot.overview import Overview
from bot.preferences import PreferenceDesk
from bot.preferences_words import Wish
from bot.requests import Requests
from session.audit import AuditDown
from session.broker import BrokerDown, BrokerRefused
from session.broker_accounts import GitHubAccounts
from session.channel_rules import Channel
from session.database import DatabaseDown
from session.inbox import AlreadyClaimed
from session.log import NoSuchSession
from session.people import Identity
from session.refusals import Refusal
from session.warming import Warming

_log = structlog.get_logger(__name__)


class ChatInbox:
    """Everything that comes in ends in a command, in a sentence to the person who did it, or in silence
    because it was not meant for the bot or had its effect before.

    `waiting`: where it waits for what people do elsewhere, such as on GitHub's pages.
    """

    def __init__(
        self, counter: Counter, accounts: GitHubAccounts, waiting: asyncio.TaskGroup, warming: Warming
    ) -> None:
        self._counter = counter
        self._warming = warming
        self._requests = Requests(counter, Linking(counter, accounts, waiting))
        self._decisions = Decisions(counter, self._requests)
        self._overview = Overview(counter)
        self._preferences = PreferenceDesk(counter)

    async def on_message(self, message: ChatMessage) -> None:
        """A request, a follow-up, or nothing for us.

        Emits (through commands): SessionOpened and PromptQueued, or what a follow-up causes.
        """
        trouble = await self._sentence_for(self._requests.said(message))
        if trouble:
            event = f"message:{message.channel}:{message.message}"
            await self._counter.tell_once(event, message.place, message.author, trouble)

    async def on_reaction(self, reaction: Reaction) -> None:
        """What the reaction table says, when the person may."""
        trouble = await self._sentence_for(self._decisions.reacted(reaction))
        if trouble:
            place = await self._place_of(reaction)
            await self._counter.tell_once(reaction.event_id, place, reaction.author, trouble)

    async def on_press(self, press: Press) -> None:
        """What the button says, when the person may."""
        trouble = await self._sentence_for(self._decisions.pressed(press))
        if trouble:
            await self._counter.tell_once(press.event_id, press.place, press.author, trouble)

    async def on_inquiry(self, inquiry: Inquiry) -> str:
        """What a person asked by a command, or why there is no answer."""
        return await self._sentence_for(self._overview.asked(inquiry)) or sentences.overview.STOPPING

    async def on_words(self, words: CommandWords) -> str:
        """What was typed after the bot's command is done; the answer, or why it is not."""
        return await self._sentence_for(self._preferences.said(words)) or ""

    async def on_wish(self, author: Identity, wish: Wish) -> str | None:
        """What was chosen in a form of the platform is done; the sentence that says why not, else None."""
        return await self._sentence_for(self._preferences.chosen(author, wish))

    async def home(self, author: Identity) -> Home:
        """What the bot's own page on the platform shows this person. Raises: DatabaseDown."""
        return await home_of(self._counter, author)

    async def on_arrival(self, identity: Identity) -> None:
        """A sandbox waits for what they may ask. Nothing is said of it, nor when it cannot be."""
        try:
            person = await self._counter.directory.resolve(identity)
        except DatabaseDown as error:
            _log.warning("chat.arrival_unseen", detail=str(error))
            return
        await self._warming.for_person(person.id)

    async def knows(self, place: Place) -> bool:
        """Whether a session lives in that thread."""
        return await self._counter.session_in(place) is not None

    async def lively_threads(self, workspace: str, within: timedelta, most: int) -> Sequence[Place]:
        """The threads there whose sessions moved lately, the latest first. Raises: DatabaseDown."""
        found = await self._counter.log.threads(self._counter.platform.name, workspace, within, most)
        return [Place(workspace, channel, thread) for channel, thread in found]

    async def watches(self, place: Place, text: str) -> bool:
        """Whether a message with this text is a request in that channel, although it mentions nobody."""
        channel = Channel(self._counter.platform.name, place.workspace, place.channel)
        return (await self._counter.customs.channels.of(channel)).starts_work(text)

    async def _place_of(self, reaction: Reaction) -> Place:
        try:
            return replace(reaction.place, thread=await self._decisions.thread_of(reaction))
        except DatabaseDown:
            return reaction.place

    async def _sentence_for(self, work: Awaitable[str | None]) -> str | None:
        """What `work` says, or what to tell the person when it did not go well; None: nothing."""
        try:
            return await work
        except AlreadyClaimed as known:
            _log.debug("chat.duplicate", session_id=known.session_id, detail=str(known))
        except Refusal as refusal:
            return refusal.sentence
        except (BrokerDown, BrokerRefused, AuditDown) as trouble:
            _log.warning("chat.not_done", detail=str(trouble))
            return str(trouble)
        except NoSuchSession:
            return sentences.refusals.GONE
        except DatabaseDown as down:
            _log.error("chat.database_down", detail=str(down))
            return sentences.refusals.DATABASE_DOWN
        except Exception:  # noqa: BLE001 - the edge of a delivery: it becomes a sentence and a log line
            code = secrets.token_hex(4)
            _log.exception("chat.unexpected", code=code, platform=self._counter.platform.name)
            return sentences.refusals.unexpected(code)
        return None
