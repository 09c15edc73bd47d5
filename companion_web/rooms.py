"""Where the watchers of one session meet: one follower of the log, one rendering, any number of clients."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from companion_web.fragments import Fragments
from companion_web.frames import Frame, change_frame, live_frame, token_frame
from companion_web.timeline import Item, Timeline
from session.events import Recorded
from session.log import Log
from session.pulse import Pulse
from session.view import SessionView

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 0.01
"""Events that arrive within this time of each other are rendered together."""

TOKEN_SECONDS = 0.05
"""Token deltas are gathered this long: at most 20 messages per second."""

RING_FRAMES = 512
"""Frames kept for clients that lag; one that falls further behind is dropped and resumes by its id."""

KEPT_ROOMS = 64
"""Folded sessions kept in memory when nobody watches them."""

READ_BATCH = 1_000


@dataclass(slots=True)
class Seat:
    """A client's place in the stream: all up to event `after` it has, `cursor` is its next frame."""

    after: int
    cursor: int


class Dropped(Exception):
    """The client fell too far behind; it should reconnect with its last id."""


class Room:
    """One session, folded and rendered once for everybody who watches it.

    `follow` runs only while somebody watches. Frames go into a bounded ring that all clients read at their
    own pace, so memory does not grow with slow clients.
    """

    def __init__(self, session_id: str, source: Log, pulse: Pulse, fragments: Fragments) -> None:
        self.session_id = session_id
        self.timeline = Timeline()
        self._log = source
        self._pulse = pulse
        self._fragments = fragments
        self._frames: deque[Frame] = deque(maxlen=RING_FRAMES)
        self._made = 0
        self._flushed = 0
        self._flush_due: asyncio.TimerHandle | None = None
        self._parts: dict[str, str] = {}
        self._rendered: dict[str, tuple[int, str]] = {}
        self._news = asyncio.Event()
        self._watchers = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._live = ""
        self._live_turn = ""
        self._live_sent = 0
        self._live_ended = False
        self._tokens_due: asyncio.TimerHandle | None = None

    @property
    def view(self) -> SessionView:
        """The session as of the last event taken in."""
        assert self.timeline.view is not None, "a room is entered only after its first refresh"
        return self.timeline.view

    @property
    def watched(self) -> bool:
        """Whether any client is connected."""
        return self._watchers > 0

    async def refresh(self) -> SessionView:
        """The newest view, after reading what the log has beyond what is known here.

        Raises: NoSuchSession.
        """
        if self.timeline.view is None:
            await self._log.view(self.session_id)
        while True:
            records = await self._log.read(self.session_id, after=self.timeline.seq, limit=READ_BATCH)
            for record in records:
                self._take(record)
            if len(records) < READ_BATCH:
                return self.view

    def item_html(self, item: Item) -> str:
        """The item rendered; each state of it is rendered once."""
        cached = self._rendered.get(item.key)
        if cached is None or cached[0] != item.seq:
            cached = (item.seq, self._fragments.item(item, self.view))
            self._rendered[item.key] = cached
        return cached[1]

    @contextmanager
    def seat(self, after: int) -> Iterator[Seat]:
        """A place in the stream for a client that has everything up to event `after`."""
        if not self._tasks:
            self._begin_to_follow()
        self._watchers += 1
        try:
            yield Seat(after=after, cursor=self._made)
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._stop_following()

    def catch_up(self, seat: Seat) -> list[Frame]:
        """What the client lacks, up to now; moves the seat there, so that nothing comes a second time."""
        if self._flush_due is not None:
            self._flush_due.cancel()
            self._flush()
        frames = self._frames_since(seat.after, self._parts)
        seat.after = max(seat.after, self.timeline.seq)
        seat.cursor = self._made
        return [*frames, self._live_now()]

    async def next_frames(self, seat: Seat) -> list[Frame]:
        """All frames the client has not had, at least one; waits for it.

        Raises: Dropped, when the client lags behind the ring, or the log cannot be followed any more.
        """
        while True:
            frames = self._unread(seat)
            if frames:
                return frames
            if not self._tasks:
                raise Dropped
            await self._news.wait()

    def _unread(self, seat: Seat) -> list[Frame]:
        oldest = self._made - len(self._frames)
        if seat.cursor < oldest:
            raise Dropped
        if seat.cursor == self._made:
            return []
        fresh = [self._frames[i] for i in range(seat.cursor - oldest, len(self._frames))]
        seat.cursor = self._made
        return [f for f in fresh if f.seq is None or f.seq > seat.after]

    def _take(self, record: Recorded) -> None:
        if record.seq <= self.timeline.seq:
            return
        self.timeline.apply(record)
        if type(record.event).__name__ in _ENDS_LIVE_TEXT:
            self._live, self._live_sent, self._live_ended = "", 0, True
        if not self._watchers:
            self._flushed = self.timeline.seq
        elif self._flush_due is None:
            self._flush_due = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flush_due = None
        parts = self._fragments.parts(self.view)
        changed = {name: html for name, html in parts.items() if self._parts.get(name) != html}
        self._parts = parts
        frames = self._frames_since(self._flushed, changed)
        self._flushed = self.timeline.seq
        if self._live_ended:
            self._live_ended = False
            frames.append(self._live_now())
        self._publish(frames)

    def _frames_since(self, after: int, parts: dict[str, str]) -> list[Frame]:
        last = self.timeline.seq
        return [
            change_frame(
                seq,
                [self.item_html(item) for item in self.timeline.changed_at(seq)],
                parts if seq == last else {},
            )
            for seq in range(after + 1, last + 1)
        ]

    def _publish(self, frames: Sequence[Frame]) -> None:
        self._frames.extend(frames)
        self._made += len(frames)
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _follow_log(self) -> None:
        async for record in self._log.follow(self.session_id, after=self.timeline.seq):
            self._take(record)

    async def _follow_tokens(self) -> None:
        async for delta in self._pulse.tokens(self.session_id):
            if delta.turn_id != self._live_turn:
                self._live, self._live_sent, self._live_turn = "", 0, delta.turn_id
            self._live += delta.text
            if self._tokens_due is None:
                loop = asyncio.get_running_loop()
                self._tokens_due = loop.call_later(TOKEN_SECONDS, self._flush_tokens)

    def _flush_tokens(self) -> None:
        self._tokens_due = None
        if len(self._live) > self._live_sent:
            frame = token_frame(self._live_turn, self._live_sent, self._live[self._live_sent :])
            self._live_sent = len(self._live)
            self._publish([frame])

    def _live_now(self) -> Frame:
        return live_frame(self._live_turn, self._live[: self._live_sent])

    def _begin_to_follow(self) -> None:
        self._parts = self._fragments.parts(self.view)
        self._flushed = self.timeline.seq
        self._tasks = [asyncio.create_task(self._follow_log()), asyncio.create_task(self._follow_tokens())]
        for task in self._tasks:
            task.add_done_callback(self._follower_ended)

    def _follower_ended(self, task: asyncio.Task[None]) -> None:
        """A follower that fails sends its clients away, so that they come back to a fresh one."""
        if task in self._tasks and not task.cancelled():
            log.error(
                "a session cannot be followed", session_id=self.session_id, error=repr(task.exception())
            )
            self._stop_following()
            self._publish([])

    def _stop_following(self) -> None:
        for timer in (self._flush_due, self._tokens_due):
            if timer is not None:
                timer.cancel()
        self._flush_due = self._tokens_due = None
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        self._live, self._live_sent = "", 0


class Rooms:
    """The rooms of this process, by session; unwatched ones are forgotten, oldest use first."""

    def __init__(self, source: Log, pulse: Pulse, fragments: Fragments) -> None:
        self._log = source
        self._pulse = pulse
        self._fragments = fragments
        self._rooms: OrderedDict[str, Room] = OrderedDict()

    async def enter(self, session_id: str) -> Room:
        """The session's room, up to date.

        Raises: NoSuchSession.
        """
        room = self._rooms.get(session_id)
        if room is None:
            room = Room(session_id, self._log, self._pulse, self._fragments)
        await room.refresh()
        # Who came in first meanwhile may have looked at the log earlier.
        while (first := self._rooms.setdefault(session_id, room)) is not room:
            room = first
            await room.refresh()
        self._rooms.move_to_end(session_id)
        self._forget_old()
        return room

    def _forget_old(self) -> None:
        excess = len(self._rooms) - KEPT_ROOMS
        for session_id in [key for key, room in self._rooms.items() if not room.watched][: max(excess, 0)]:
            del self._rooms[session_id]


_ENDS_LIVE_TEXT = frozenset({"ModelReplied", "TurnStarted", "TurnFinished", "TurnFailed", "SessionStopped"})
