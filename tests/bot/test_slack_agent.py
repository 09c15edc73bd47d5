"""Slack's own signs of an agent at work, where the workspace has them: status, Stop button, menu entry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.messages import Place, StatusCard
from bot.platforms.protocol import Unreachable
from session import events as e
from tests.bot.rooms import PUBLIC_URL, Rooms
from tests.bot.slack_side import bot_on
from tests.emulators.faults import Dropped, ServerError
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.people import SlackPerson
from tests.emulators.slack.rendering import render


async def test_the_native_status_follows_the_card_and_its_button_stops_the_turn(rooms: Rooms) -> None:
    async with (
        SlackEmulator(agent_surface=True, allow_unread=True) as slack,
        bot_on(slack, rooms),
    ):
        ada, guest = slack.person("Ada"), slack.person("Guest", is_restricted=True)
        channel = slack.channel("billing")
        channel.members.add(guest.id)
        request = await ada.say(channel, "round invoices half up")
        await slack.wait_for(lambda: slack.agent_status(request) == "processing")
        session_id = await rooms.only_session()
        await rooms.start_turn(session_id)
        await rooms.ask_approval(session_id)
        await slack.wait_for(lambda: "suspended" in told_statuses(slack))
        slack.fail_next("agents.sessions.setStatus", ServerError(), Dropped(committed=True))
        await rooms.write(session_id, e.ApprovalVoided(approval_id="a1", reason="the branch moved"))
        await slack.wait_for(lambda: slack.agent_status(request) == "processing")
        await guest.stop_agent(request)
        await slack.wait_for_post(request, "full members here")
        assert (await rooms.log.view(session_id)).stop_requested is None
        slack.repeat_events(3)
        await ada.stop_agent(request)
        await slack.wait_for_delivery()
        await slack.wait_for_post(request, "Stopped by Ada")
        await slack.wait_for(lambda: slack.agent_status(request) == "active")
        stops = [r for r in await rooms.log.read(session_id) if isinstance(r.event, e.SessionStopped)]
        assert len(stops) == 1, "however often Slack says so"
        (session,) = slack.workspace.agent_sessions.values()
        assert session.title == "round invoices half up"


def told_statuses(slack: SlackEmulator) -> list[str]:
    """Which statuses the bot has set, in order; not those that the end of a stream brings."""
    calls = [call for call in slack.calls if call.method == "agents.sessions.setStatus"]
    return [str(call.args["status"]) for call in calls if call.error is None]


@pytest.mark.parametrize("method", ["chat.stopStream", "chat.update", "agents.sessions.setStatus"])
async def test_a_status_that_may_have_moved_on_is_set_anew(rooms: Rooms, method: str) -> None:
    async with (
        SlackEmulator(agent_surface=True, allow_unread=True) as slack,
        bot_on(slack, rooms) as platform,
    ):
        ada, channel = slack.person("Ada"), slack.channel("billing")
        request = await ada.say(channel, "round invoices half up", mention_bot=False)
        place = Place(slack.workspace.team_id, channel.id, request.ts)
        card = StatusCard("s1", 1, "Round half up", "Working", "working")
        message = await platform.post(place, card, "chat:slack:s1:card")
        assert slack.agent_status(request) == "processing"
        slack.fail_next(method, Dropped(committed=True))
        with pytest.raises(Unreachable):
            await platform.edit(place, message, replace(card, revision=2, tone="waiting"))
        assert slack.agent_status(request) == "suspended"
        await platform.edit(place, message, replace(card, revision=3))
        assert slack.agent_status(request) == "processing"


async def test_a_workspace_without_the_agent_surface_is_asked_once_for_each_part_of_it(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms):
        ada, channel = slack.person("Ada"), slack.channel("billing")
        for text in ("round invoices half up", "and the credit notes"):
            await slack.wait_for_post(await ada.say(channel, text), "Finding the repository")
        await slack.wait_for_delivery()
        refused = [(call.method, call.error) for call in slack.calls if call.error]
        expected = ["agents.sessions.setStatus", "chat.startStream"]
        assert sorted(refused) == [(method, "unknown_method") for method in expected]


async def test_a_message_is_sent_to_the_bot_from_its_menu(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms):
        ada, grace = slack.person("Ada"), slack.person("Grace")
        channel, foreign = slack.channel("bugs"), slack.channel("elsewhere", with_bot=False)
        report = await grace.say(channel, "checkout shows 0.1 too much", mention_bot=False)
        await ada.say(channel, "since Monday", thread=report, mention_bot=False)
        for _ in range(2):
            await ada.shortcut(report, "bellhop_send")
        view = await rooms.log.view(await rooms.only_session())
        assert view.prompts[0].prompt.text == "checkout shows 0.1 too much"
        assert view.requester.name == "Ada"
        assert [line.author for line in view.prompts[0].prompt.context] == ["Grace", "Ada"]
        await slack.wait_for_post(report, "Finding the repository")
        outside = await grace.say(foreign, "this one too", mention_bot=False)
        await ada.shortcut(outside, "bellhop_send")
        await slack.person("Guest", is_restricted=True).shortcut(outside, "bellhop_send")
        assert len(await rooms.sessions()) == 1
        told = [m.shown for c in slack.workspace.channels.values() for m in slack.channel_messages(c)]
        assert any("Invite me first" in text for text in told)
        assert any("full members here" in text for text in told)


async def test_the_address_of_a_page_is_shown_with_what_its_session_does(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms):
        ada, grace = slack.person("Ada"), slack.person("Grace")
        channel, elsewhere = slack.channel("billing"), slack.channel("general", with_bot=False)
        request = await ada.say(channel, "round <!channel> half up")
        await slack.wait_for_post(request, "Finding the repository")
        asked = await rooms.only_session()
        await rooms.start_turn(asked)
        await ada.say_directly("what only I may read")
        await slack.wait_for_delivery()
        (secret,) = set(await rooms.sessions()) - {asked}

        async def shown(person: SlackPerson, address: str) -> str:
            message = await person.share_link(elsewhere, address)
            await slack.wait_for_delivery()
            unfurls = (message.metadata or {}).get("unfurls", {})
            assert set(unfurls) <= {address}
            return "\n".join(render("", content["blocks"], str) for content in unfurls.values())

        page = f"{PUBLIC_URL}/s/{asked}"
        assert await shown(grace, page) == "*round @\u2060channel half up*\nWorking  ·  acme/billing"
        assert await shown(grace, f"{PUBLIC_URL}/s/{secret}") == "*A session*\nFinding the repository"
        for address in (f"{PUBLIC_URL}/s/nobody", f"{PUBLIC_URL}/account", f"https://evil.example/s/{asked}"):
            assert await shown(grace, address) == ""
        assert await shown(slack.person("Guest", is_restricted=True), page) == ""
        assert await shown(slack.person("Stranger", is_stranger=True), page) == ""
        slack.fail_next("chat.unfurl", ServerError())
        assert await shown(grace, page) == ""
