"""One session's way into its thread: one card edited in place, and each message once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from bot import sentences
from bot.card import at_once, status_card
from bot.each_repository import EachRepository
from bot.long_text import keep_ends
from bot.messages import MessageKind, Outgoing, Place, Post
from bot.platforms.protocol import Busy, MessageGone, Platform, PlatformError, Rejected, Unreachable
from bot.thread_posts import VERBOSITY_DECIDES, BeginEach, Know, Mark, Reword, Say, Step, ThreadPosts
from session import events as e
from session.commands import Commands
from session.effects import Effects
from session.fold import apply, fold
from session.log import Log
from session.messages import ChatMessages
from session.outbox import Outbox
from session.preferences import DEFAULT_VERBOSITY, PreferenceBook, Verbosity
from session.pulse import Pulse, Watch
from session.view import SessionView

MOST_PARTS = 4
"""Messages one long text may fill; what lies between the first ones and the last is on the page."""

_READ_AT_ONCE = 500

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FeedRooms:
    """What a feed reads from and writes down in. `preferences` None: everybody is told as usual."""

    log: Log
    commands: Commands
    outbox: Outbox
    effects: Effects
    messages: ChatMessages
    pulse: Pulse
    preferences: PreferenceBook | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of ours; `now` is False when an earlier try had sent it."""

    message: str
    now: bool


class SessionFeed:
    """Tells one session's log on one platform, from a cursor on.

    `interval_seconds`: least time between two edits of the card now while the state only moves along; states
    that people wait for are shown at once.
    """

    def __init__(
        self,
        session_id: str,
        platform: Platform,
        rooms: FeedRooms,
        posts: ThreadPosts,
        *,
        interval_seconds: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._session_id = session_id
        self._platform = platform
        self._rooms = rooms
        self._posts = posts
        self._each = EachRepository(platform, rooms.commands, rooms.messages)
        self._interval = interval_seconds
        self._now = now
        self._view: SessionView | None = None
        self._card: str | None = None
        self._shown = 0
        self._next_edit = 0.0

    async def catch_up(self, delivered: int) -> None:
        """Everything in the log stands in the thread, and the cursor says so; `delivered`: the cursor now.

        Raises: PlatformError, DatabaseDown: call again later, nothing is told twice.
        """
        with self._rooms.pulse.watch(self._session_id) as watch:
            while True:
                records = await self._read()
                newest = fold(records, self._view) if records else self._view
                if newest is None:
                    return
                await self._ensure_card(newest)
                for record in records:
                    await self._tell(record, delivered)
                if records:
                    continue
                if newest.seq <= delivered:
                    return
                if newest.seq > self._shown:
                    if not await self._may_edit(newest, watch):
                        continue
                    await self._edit_card(newest)
                await self._rooms.outbox.advance(self._platform.name, self._session_id, newest.seq)
                delivered = newest.seq

    async def _read(self) -> list[e.Recorded]:
        after = self._view.seq if self._view else 0
        return await self._rooms.log.read(self._session_id, after, _READ_AT_ONCE)

    async def _tell(self, record: e.Recorded, delivered: int) -> None:
        before, after = self._view, apply(self._view, record)
        if record.seq > delivered:
            verbosity = await self._verbosity(record, after)
            for number, step in enumerate(self._posts.steps(before, record, after, verbosity)):
                await self._carry_out(step, after, f"{record.seq}.{number}")
        self._view = after

    async def _verbosity(self, record: e.Recorded, view: SessionView) -> Verbosity:
        book = self._rooms.preferences
        if book is None or not isinstance(record.event, VERBOSITY_DECIDES):
            return DEFAULT_VERBOSITY
        return (await book.of(view.requester.id)).verbosity

    async def _carry_out(self, step: Step, view: SessionView, key: str) -> None:
        match step:
            case Say(post):
                await self._say(post, view, key)
            case Reword(post):
                await self._reword(post, view)
            case Mark():
                await self._mark(step, view)
            case BeginEach():
                await self._each.begin(await self._rooms.log.view(self._session_id))
            case Know(message, ref):
                await self._rooms.messages.remember(
                    self._platform.name, view.origin.channel, message, self._session_id, "request", ref
                )

    # The card

    async def _ensure_card(self, view: SessionView) -> None:
        if self._card is not None:
            return
        row = await self._rooms.messages.find(self._session_id, "card", platform=self._platform.name)
        if row is not None:
            self._card, self._shown = row.message_id, row.revision
        else:
            await self._post_card(view, "card")

    async def _post_card(self, view: SessionView, key: str) -> None:
        card = status_card(view, public_url=self._posts.public_url)
        sent = await self._post_once(key, card, view)
        # A card that an earlier try has sent shows what was true then: it is edited next.
        self._card, self._shown = sent.message, view.seq if sent.now else 0
        self._next_edit = self._now() + (self._interval() if sent.now else 0.0)
        await self._remember(self._card, view, "card", "", self._shown)

    async def _may_edit(self, view: SessionView, watch: Watch) -> bool:
        """Whether the card may be edited now; if not, waits for that time or for news."""
        wait = self._next_edit - self._now()
        if wait <= 0 or at_once(view):
            return True
        return not await watch.wait(wait)

    async def _edit_card(self, view: SessionView) -> None:
        card = status_card(view, public_url=self._posts.public_url)
        message = self._card or ""
        try:
            await self._platform.edit(_place(view), message, card)
        except MessageGone:
            await self._post_card(view, f"card.{view.seq}")
            return
        except Rejected as error:
            # Asking again would not help and would hold up the thread; the next state may fit again.
            _log.error("chat.card_rejected", session_id=view.id, seq=view.seq, detail=str(error))
        self._shown = view.seq
        self._next_edit = self._now() + self._interval()
        await self._remember(message, view, "card", "", view.seq)

    # Messages of their own

    async def _say(self, post: Post, view: SessionView, key: str) -> None:
        for number, part in enumerate(self._parts(post)):
            sent = await self._post_once(f"{key}.{number}", part, view)
            await self._remember(sent.message, view, post.kind, post.ref)

    def _parts(self, post: Post) -> list[Post]:
        parts = list(self._platform.split(post))
        if len(parts) <= MOST_PARTS:
            return parts
        texts = keep_ends([part.text for part in parts], MOST_PARTS, sentences.turns.MIDDLE_ON_PAGE)
        bare = replace(parts[0], buttons=(), menu=None, footer=())
        return [*(replace(bare, text=text) for text in texts[:-1]), parts[-1]]

    async def _post_once(self, key: str, content: Outgoing, view: SessionView) -> Sent:
        """The message, sent now or by an earlier try that did not live to write it down."""
        op_key = f"chat:{self._platform.name}:{self._session_id}:{key}"
        effect = await self._rooms.effects.begin(op_key, self._session_id)
        if effect.state == "done":
            return Sent(effect.result or "", now=False)
        place = _place(view)
        message = await self._platform.find(place, op_key) if effect.state == "begun" else None
        sent = Sent(message or await self._post(place, content, op_key), now=message is None)
        await self._rooms.effects.finish(op_key, sent.message)
        return sent

    async def _post(self, place: Place, content: Outgoing, op_key: str) -> str:
        try:
            return await self._platform.post(place, content, op_key)
        except Rejected as error:
            _log.error("chat.post_rejected", session_id=self._session_id, key=op_key, detail=str(error))
            return await self._platform.post(place, _plain(content), op_key)

    async def _reword(self, post: Post, view: SessionView) -> None:
        row = await self._rooms.messages.find(view.id, post.kind, post.ref, platform=self._platform.name)
        if row is None:
            return
        try:
            await self._platform.edit(_place(view), row.message_id, self._platform.split(post)[-1])
        except (MessageGone, Rejected) as error:
            _log.warning("chat.cannot_reword", session_id=view.id, kind=post.kind, detail=str(error))

    async def _mark(self, mark: Mark, view: SessionView) -> None:
        place = _place(view)
        try:
            if mark.remove:
                await self._platform.unreact(place, mark.message, mark.remove)
            if mark.add:
                await self._platform.react(place, mark.message, mark.add)
        except (Busy, Unreachable):
            raise
        except PlatformError as error:
            # The message is gone, or closed to reactions: the card says the same.
            _log.info("chat.cannot_mark", session_id=view.id, detail=str(error))

    async def _remember(
        self, message: str, view: SessionView, kind: MessageKind, ref: str, revision: int = 0
    ) -> None:
        await self._rooms.messages.remember(
            self._platform.name, view.origin.channel, message, view.id, kind, ref, revision
        )


def _place(view: SessionView) -> Place:
    return Place(view.origin.workspace, view.origin.channel, view.origin.thread)


def _plain(content: Outgoing) -> Outgoing:
    """The same without anything a platform could stumble over."""
    if isinstance(content, Post):
        return replace(content, text=content.text[:2000], buttons=(), menu=None, footer=(), heading="")
    return replace(content, plan=(), facts=(), notes=(), buttons=())
