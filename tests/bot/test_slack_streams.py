"""The card as a stream: one message whatever happens, and nothing in it that Slack would refuse."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings

from bot.messages import StatusCard
from bot.platforms.slack.streams import Shown, news
from session import events as e
from session.vocabulary import PlanItem
from tests.bot.rooms import Rooms
from tests.bot.slack_side import bot_on
from tests.bot.test_slack_blocks import CARDS, PING, mrkdwn_texts
from tests.emulators.faults import Dropped, ServerError
from tests.emulators.slack.agent_methods import grown_by
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.faults import TooMany, Unanswered
from tests.emulators.slack.refusals import Json
from tests.emulators.slack.workspace import Message

Status = Literal["pending", "in_progress", "done", "dropped"]


def plan_of(message: Message) -> Json:
    """The plan that the stream shows."""
    return next((block for block in message.blocks if block["type"] == "plan"), {"title": "", "tasks": []})


def steps(message: Message) -> list[tuple[str, str]]:
    return [(task["title"], task["status"]) for task in plan_of(message)["tasks"]]


def streamed(message: Message) -> bool:
    return message.streaming


def cards(slack: SlackEmulator, request: Message) -> list[Message]:
    """What stands in the thread of the bot's, apart from messages of its own."""
    return [m for m in slack.posts(request) if "round invoices" in m.shown]


def planned(*items: tuple[str, Status]) -> e.PlanChanged:
    return e.PlanChanged(items=tuple(PlanItem(text=text, status=status) for text, status in items))


async def test_the_plan_is_streamed_and_the_end_is_an_ordinary_card(rooms: Rooms) -> None:
    async with SlackEmulator(agent_surface=True, allow_unread=True) as slack, bot_on(slack, rooms):
        ada = slack.person("Ada")
        request = await ada.say(slack.channel("billing"), "round invoices half up")
        await slack.wait_for(lambda: slack.agent_status(request) == "processing")
        session_id = await rooms.only_session()
        await rooms.start_turn(session_id)
        await rooms.write(session_id, planned(("read it", "in_progress"), ("mend it", "pending")))
        (card,) = cards(slack, request)
        assert streamed(card)
        await slack.wait_for(lambda: steps(card) == [("read it", "in_progress"), ("mend it", "pending")])
        ran = e.ToolCalled(turn_id="t0", call_id="c1", tool="bash", action="running the tests in `billing`")
        await rooms.write(session_id, ran, planned(("read it all", "done")))
        await slack.wait_for(
            lambda: steps(card) == [("read it all", "complete"), ("Dropped: mend it", "complete")]
        )
        await slack.wait_for(lambda: "running the tests in `billing`" in plan_of(card)["title"])
        assert "acme/billing @ main" in card.shown
        assert card.buttons == ["Stop", "Open page", "Wrong repository?"]
        assert not slack.calls_to("chat.update")
        await rooms.write(session_id, e.TurnFinished(turn_id="t0", summary="Rounded."))
        await slack.wait_for_post(request, "Rounded.")
        await slack.wait_for(lambda: "Done" in card.shown and "Cost" in card.shown)
        assert not streamed(card)
        assert card.metadata == {
            "event_type": "bellhop_message",
            "event_payload": {"key": f"chat:slack:{session_id}:card"},
        }
        assert slack.agent_status(request) == "active"
        assert len(cards(slack, request)) == 1


@pytest.mark.parametrize(
    "fault", [Dropped(committed=True), ServerError(committed=True), Dropped(committed=False)]
)
async def test_a_stream_whose_answer_is_lost_is_looked_for_not_begun_again(
    rooms: Rooms, fault: Dropped | ServerError
) -> None:
    async with SlackEmulator(agent_surface=True, allow_unread=True) as slack, bot_on(slack, rooms):
        slack.fail_next("chat.startStream", fault)
        request = await slack.person("Ada").say(slack.channel("billing"), "round invoices half up")
        await slack.wait_for_post(request, "Finding the repository")
        session_id = await rooms.only_session()
        slack.fail_next("chat.appendStream", *([fault] if not fault.committed else []))
        await rooms.start_turn(session_id)
        await rooms.write(session_id, planned(("read it", "in_progress")))
        await slack.wait_for_post(request, "read it")
        await rooms.write(session_id, e.TurnFinished(turn_id="t0", summary="Rounded."))
        await slack.wait_for(lambda: any("Done" in m.shown for m in cards(slack, request)))
        assert len(cards(slack, request)) == 1


async def test_a_bot_that_dies_in_a_stream_goes_on_with_the_same_card(rooms: Rooms) -> None:
    async with SlackEmulator(agent_surface=True, allow_unread=True) as slack:
        silence = Unanswered()
        slack.fail_next("chat.startStream", silence)
        async with bot_on(slack, rooms):
            request = await slack.person("Ada").say(slack.channel("billing"), "round invoices half up")
            await silence.reached.wait()
        session_id = await rooms.only_session()
        await rooms.start_turn(session_id)
        async with bot_on(slack, rooms):
            await slack.wait_for_post(request, "Working")
            (card,) = cards(slack, request)
            assert not streamed(card), "what was begun before us is edited, not streamed"
            await rooms.write(session_id, planned(("read it", "done")))
            await slack.wait_for(lambda: "read it" in card.shown)
        await rooms.write(session_id, e.TurnFinished(turn_id="t0", summary="Rounded."))
        async with bot_on(slack, rooms):
            await slack.wait_for(lambda: "Done" in card.shown)
        assert len(cards(slack, request)) == 1


async def test_a_restart_in_the_middle_of_a_stream_ends_it_and_shows_the_newest(rooms: Rooms) -> None:
    async with SlackEmulator(agent_surface=True, allow_unread=True) as slack:
        async with bot_on(slack, rooms):
            request = await slack.person("Ada").say(slack.channel("billing"), "round invoices half up")
            await slack.wait_for(lambda: slack.agent_status(request) == "processing")
            session_id = await rooms.only_session()
            await rooms.start_turn(session_id)
            (card,) = cards(slack, request)
            await slack.wait_for(lambda: "Working" in plan_of(card)["title"])
        assert streamed(card)
        await rooms.write(session_id, planned(("read it", "done")))
        await rooms.write(session_id, e.TurnFailed(turn_id="t0", cause="No disk.", advice="Add one."))
        async with bot_on(slack, rooms):
            await slack.wait_for(lambda: "Failed" in card.shown and "read it" in card.shown)
            await slack.wait_for(lambda: slack.agent_status(request) == "active")
        assert not streamed(card)
        assert len(cards(slack, request)) == 1


async def test_a_stream_that_slack_ended_or_has_no_room_for_is_an_edited_card(rooms: Rooms) -> None:
    async with SlackEmulator(agent_surface=True, allow_unread=True) as slack, bot_on(slack, rooms):
        ada = slack.person("Ada")
        request = await ada.say(slack.channel("billing"), "round invoices half up")
        await slack.wait_for(lambda: slack.agent_status(request) == "processing")
        session_id = await rooms.only_session()
        await rooms.start_turn(session_id)
        await ada.stop_agent(request)
        await slack.wait_for_post(request, "Stopped by Ada")
        (card,) = cards(slack, request)
        await slack.wait_for(lambda: "Stopped" in card.shown)
        greeting = slack.workspace.post(slack.channel("news"), slack.workspace.bot, "hello")
        third = await ada.say(greeting.channel, "round invoices up", thread=greeting)
        await slack.wait_for_post(third, "Finding the repository")
        assert [m.streaming for m in cards(slack, third)] == [False], "nobody to stream it to"
        slack.fail_next("chat.startStream", *(TooMany(0),) * 3)
        second = await ada.say(slack.channel("web"), "round invoices there too")
        await slack.wait_for_post(second, "Finding the repository")
        assert [m.streaming for m in cards(slack, second)] == [False]


@settings(max_examples=30, deadline=None)
@given(CARDS, CARDS)
def test_no_card_makes_a_stream_that_slack_refuses_or_that_rings_anybody(
    first: StatusCard, second: StatusCard
) -> None:
    shown, blocks = Shown(), list[Json]()
    for card in (first, second, first):
        shown, chunks = news(shown, card)
        blocks = grown_by(chunks, blocks)
        repeated, nothing = news(shown, card)
        assert not nothing, "what is shown is not sent again"
        assert repeated == shown
    for block in blocks:
        titles = [block.get("title", ""), *(task["title"] for task in block.get("tasks", ()))]
        for text in (*titles, *mrkdwn_texts(block)):
            assert not PING.search(text), text
