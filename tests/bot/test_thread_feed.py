"""The feed on a real log: one card, each message once, whatever breaks on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from bot.messages import Outgoing, Place, StatusCard
from bot.platforms.console.platform import ConsolePlatform
from bot.platforms.protocol import Busy, PlaceGone, Rejected, Unreachable
from session import events as e
from tests.bot.rooms import PUBLIC_URL, Rooms, approval_requested

T = TypeVar("T")
Trouble = Callable[[], Exception]


class BadLine(ConsolePlatform):
    """A console whose line to the bot breaks at one call: before it happened, or after.

    `shown` is every card revision that was put before people, in order.
    """

    def __init__(self, at: int = -1, *, after: bool = False, trouble: Trouble | None = None) -> None:
        super().__init__()
        self.calls = 0
        self.shown: list[int] = []
        self._at = at
        self._after = after
        self._trouble = trouble or (lambda: Unreachable("the line broke"))

    async def post(self, place: Place, content: Outgoing, key: str) -> str:
        return await self._call(lambda: super(BadLine, self).post(place, content, key), content)

    async def edit(self, place: Place, message: str, content: Outgoing) -> None:
        await self._call(lambda: super(BadLine, self).edit(place, message, content), content)

    async def react(self, place: Place, message: str, emoji: str) -> None:
        await self._call(lambda: super(BadLine, self).react(place, message, emoji))

    async def unreact(self, place: Place, message: str, emoji: str) -> None:
        await self._call(lambda: super(BadLine, self).unreact(place, message, emoji))

    async def _call(self, work: Callable[[], Awaitable[T]], content: Outgoing | None = None) -> T:
        self.calls += 1
        broken = self.calls == self._at
        if broken and not self._after:
            raise self._trouble()
        result = await work()
        if isinstance(content, StatusCard):
            self.shown.append(content.revision)
        if broken:
            raise self._trouble()
        return result


async def a_whole_session(rooms: Rooms, console: ConsolePlatform, *, calm: bool = False) -> str:
    """From a request to an answer, with everything in between that is said in a thread.

    calm: people say nothing more before the card is there.
    """
    request = await console.people.say("round invoices half up")
    session_id = (await rooms.sessions())[0]
    if calm:
        await console.threads.wait_for(lambda m: m.kind == "card", 60)
    await rooms.start_turn(session_id)
    await console.people.say("also the credit notes", thread=request.thread)
    await rooms.write(session_id, e.UpdatePosted(text="Halfway there"))
    await rooms.ask_approval(session_id)
    await console.threads.wait_for(lambda m: m.asks, 60)
    await console.people.react("✅", "Grace")
    await rooms.write(
        session_id, e.ApprovalUsed(approval_id="a1"), e.TurnFinished(turn_id="t0", summary="Done it.")
    )
    await rooms.start_turn(session_id, prompt=1)
    await rooms.write(session_id, e.TurnFailed(turn_id="t1", cause="No disk.", advice="Add one."))
    return session_id


async def told(rooms: Rooms, console: ConsolePlatform, session_id: str) -> list[str]:
    """What the thread shows once everything in the log was told."""
    seq = (await rooms.log.view(session_id)).seq

    def card_is_current() -> bool:
        cards = [m.content for m in console.threads if isinstance(m.content, StatusCard)]
        return any(card.revision == seq for card in cards)

    await console.threads.wait_for(lambda m: card_is_current(), 60)
    async with asyncio.timeout(60):
        while await rooms.feed.outbox.pending("console"):
            await rooms.feed.outbox.wait("console", 0.05, skip=(session_id,))
    return [
        f"{m.kind} {m.text.splitlines()[0]} {sorted({e for e, _ in m.reactions})}" for m in console.threads
    ]


EXPECTED = [
    "request round invoices half up ['✅']",
    "card ▌ round invoices half up []",
    "request also the credit notes ['⚠️']",
    "update Halfway there []",
    "approval May I publish this? ['✅']",
    "answer Done it. []",
    "failure **That did not work:** No disk. []",
]


def said_by_bot(lines: list[str]) -> list[str]:
    """Without what people wrote."""
    return [line for line in lines if not line.startswith("request")]


CALLS = 22
"""How many calls the whole session makes at most, when each step is told by itself; the sweep breaks each."""


async def test_the_whole_session_is_told_in_order(rooms: Rooms) -> None:
    console = BadLine()
    async with rooms.serving(console):
        session_id = await a_whole_session(rooms, console, calm=True)
        assert await told(rooms, console, session_id) == EXPECTED
    assert console.shown == sorted(set(console.shown))
    assert console.calls <= CALLS


@pytest.mark.parametrize("after", [False, True], ids=["lost", "done_but_unanswered"])
@pytest.mark.parametrize("at", range(1, CALLS + 1))
async def test_a_line_that_breaks_at_any_call_changes_nothing_people_see(
    rooms: Rooms, at: int, after: bool
) -> None:
    console = BadLine(at, after=after)
    async with rooms.serving(console):
        session_id = await a_whole_session(rooms, console)
        shown = await told(rooms, console, session_id)
    # People go on talking while the line is down, so only the bot's own messages have an order.
    assert said_by_bot(shown) == said_by_bot(EXPECTED)
    assert console.shown == sorted(console.shown)


class Deadly(BadLine):
    """A console at whose n-th post or edit the bot dies: the call happens, and nobody hears of it."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.died = asyncio.Event()
        self._deadly = at
        self._spoken = 0

    async def _call(self, work: Callable[[], Awaitable[T]], content: Outgoing | None = None) -> T:
        result = await super()._call(work, content)
        self._spoken += content is not None
        if content is not None and self._spoken == self._deadly:
            self.died.set()
            await asyncio.Event().wait()
        return result


@pytest.mark.parametrize("at", range(1, 11))
async def test_a_bot_that_dies_at_any_message_goes_on_after_a_restart(rooms: Rooms, at: int) -> None:
    console = Deadly(at)
    async with rooms.serving(console, with_feed=False):
        first = asyncio.create_task(rooms.thread_feed(console).run())
        story = asyncio.create_task(a_whole_session(rooms, console))
        death = asyncio.create_task(console.died.wait())
        await asyncio.wait({story, death}, return_when=asyncio.FIRST_COMPLETED)
        if story.done():
            await asyncio.wait({death}, timeout=0.2)
        await cancelled(first, death)
        second = asyncio.create_task(rooms.thread_feed(console).run())
        shown = await told(rooms, console, await story)
        await cancelled(second)
    assert said_by_bot(shown) == said_by_bot(EXPECTED)


async def cancelled(*tasks: asyncio.Task[object]) -> None:
    """End the tasks."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_many_steps_are_few_edits_and_the_end_is_shown_at_once(rooms: Rooms) -> None:
    console = BadLine()
    async with rooms.serving(console, interval_seconds=600.0):
        await console.people.say("round invoices half up")
        session_id = await rooms.only_session()
        await console.threads.wait_for(lambda m: m.kind == "card", 60)
        await rooms.start_turn(session_id)
        for number in range(40):
            action = f"step {number}"
            await rooms.write(
                session_id, e.ToolCalled(turn_id="t0", call_id=f"c{number}", tool="bash", action=action)
            )
        await rooms.write(session_id, e.UpdatePosted(text="Halfway there"))
        # A message of its own does not wait for the card's turn.
        await console.threads.wait_for(lambda m: m.text == "Halfway there", 60)
        assert len(console.shown) <= 4
        await rooms.write(session_id, e.TurnFinished(turn_id="t0", summary="Done it."))
        await console.threads.wait_for(lambda m: m.tone == "done", 60)
    assert len(console.shown) <= 5


async def test_a_channel_that_is_gone_holds_up_nobody(rooms: Rooms) -> None:
    class Half(ConsolePlatform):
        async def post(self, place: Place, content: Outgoing, key: str) -> str:
            first = next(iter(self.threads))
            if place.thread == first.thread:
                raise PlaceGone("archived")
            return await super().post(place, content, key)

    console = Half()
    async with rooms.serving(console):
        await console.people.say("one")
        second = await console.people.say("two")
        card = await console.threads.wait_for(lambda m: m.kind == "card", 60)
    assert card.thread == second.thread


async def test_patience_that_is_asked_for_is_given(rooms: Rooms) -> None:
    class Slow(ConsolePlatform):
        posts = 0

        async def post(self, place: Place, content: Outgoing, key: str) -> str:
            self.posts += 1
            if self.posts == 1:
                raise Busy("slow down", 0.3)
            return await super().post(place, content, key)

    loop, console = asyncio.get_running_loop(), Slow()
    async with rooms.serving(console):
        began = loop.time()
        await console.people.say("one")
        await console.threads.wait_for(lambda m: m.kind == "card", 60)
        assert loop.time() - began >= 0.3


async def test_content_the_platform_will_not_take_is_said_plainly(rooms: Rooms) -> None:
    class Picky(ConsolePlatform):
        async def post(self, place: Place, content: Outgoing, key: str) -> str:
            if content.buttons:
                raise Rejected("no buttons here")
            return await super().post(place, content, key)

    console = Picky()
    async with rooms.serving(console):
        await console.people.say("round invoices half up")
        session_id = await rooms.only_session()
        await rooms.write(session_id, e.RoutingFailed(cause="No repository.", advice="Add one."))
        failure = await console.threads.wait_for(lambda m: m.kind == "failure", 60)
    assert "No repository." in failure.text


async def test_a_voided_approval_loses_its_buttons(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        await console.people.say("round invoices half up")
        session_id = await rooms.only_session()
        await rooms.start_turn(session_id)
        await rooms.write(session_id, approval_requested())
        await console.threads.wait_for(lambda m: m.asks, 60)
        await rooms.write(session_id, e.ApprovalVoided(approval_id="a1", reason="the branch moved"))
        voided = await console.threads.wait_for(lambda m: "No longer open" in m.text, 60)
    assert "the branch moved" in voided.text
    assert not voided.asks


async def test_an_answer_without_words_is_called_a_failure(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        await console.people.say("round invoices half up")
        session_id = await rooms.only_session()
        await rooms.start_turn(session_id)
        await rooms.write(session_id, e.TurnFinished(turn_id="t0", summary="  "))
        failure = await console.threads.wait_for(lambda m: m.kind == "failure", 60)
    assert "not done" in failure.text


async def test_a_branch_without_a_pull_request_is_said_with_how_to_link(rooms: Rooms) -> None:
    console = ConsolePlatform()
    published = e.BranchPublished(branch="bellhop/s/up", head_sha="c" * 40, compare_url="https://f.example/c")
    async with rooms.serving(console):
        await console.people.say("round invoices half up")
        session_id = await rooms.only_session()
        await rooms.start_turn(session_id)
        await rooms.write(session_id, published, e.TurnFinished(turn_id="t0", summary="Rounded."))
        answer = await console.threads.wait_for(lambda m: m.kind == "answer", 60)
    assert "no pull request was opened" in answer.text
    assert f"{PUBLIC_URL}/account" in answer.text
