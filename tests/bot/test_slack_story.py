"""The same story on the emulated Slack, over both doors; it refuses what the real one would."""

from __future__ import annotations

import io
import time

import aiohttp
import pytest

from bot.messages import Choice, Place
from bot.platforms.protocol import PlaceGone
from bot.platforms.slack.installations import OwnToken
from bot.thread_posts import repository_menu
from session import events as e
from session.channel_rules import WatchedWord, channel_of
from tests.bot.rooms import Rooms
from tests.bot.slack_side import Way, bot_on, slack_platform, web_server
from tests.bot.test_platform_contract import Notebook
from tests.bot.test_slack_surfaces import person_of
from tests.emulators.faults import Dropped, ServerError
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.faults import TooMany
from tests.emulators.slack.http_delivery import signature
from tests.emulators.slack.people import Upload
from tests.emulators.slack.workspace import Message


async def session_of(rooms: Rooms, slack: SlackEmulator) -> str:
    """The id of the one session, once there is one."""
    await slack.wait_for_delivery()
    return await rooms.only_session()


def bot_reactions(slack: SlackEmulator, message: Message) -> set[str]:
    return {name for name, users in message.reactions.items() if slack.workspace.bot.id in users}


@pytest.mark.parametrize("way", ["socket", "http"])
async def test_a_mention_is_seen_carded_approved_and_answered(rooms: Rooms, way: Way) -> None:
    async with SlackEmulator() as slack, bot_on(slack, rooms, way):
        ada, grace = slack.person("Ada"), slack.person("Grace")
        channel = slack.channel("billing", topic="money in")
        request = await ada.say(channel, "round invoices half up")
        session_id = await session_of(rooms, slack)
        await slack.wait_for(lambda: bot_reactions(slack, request) == {"eyes"})
        view = await rooms.log.view(session_id)
        assert (view.origin.channel_name, view.origin.channel_topic) == ("billing", "money in")
        assert view.prompts[0].prompt.text == "round invoices half up"
        assert view.requester.name == "Ada"
        await rooms.start_turn(session_id)
        card = await slack.wait_for_post(request, "Working")
        await rooms.ask_approval(session_id)
        asking = await slack.wait_for_post(request, "Round half up")
        await grace.react(asking, "white_check_mark")
        await slack.wait_for_post(request, "Approved by Grace")
        approved = (await rooms.log.view(session_id)).approvals[0]
        assert (approved.state, approved.by and approved.by.name) == ("given", "Grace")
        await rooms.write(session_id, e.TurnFinished(turn_id="t0", summary="Rounded *half up*."))
        await slack.wait_for_post(request, "Rounded _half up_.")
        await slack.wait_for(lambda: "Done" in card.shown)
        await slack.wait_for(lambda: bot_reactions(slack, request) == {"white_check_mark"})
        assert len(slack.posts(request)) == 3


async def test_buttons_and_the_menu_of_repositories(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms):
        ada = slack.person("Ada")
        request = await ada.say(slack.channel("general"), "make it faster")
        session_id = await session_of(rooms, slack)
        asked = e.RepositoryAsked(reason="It could be two.", candidates=(e.Candidate(slug="acme/billing"),))
        await rooms.write(session_id, asked)
        question = await slack.wait_for_post(request, "Which repository")
        await ada.pick(question, "Any other repository…", "acme/web")
        chosen = (await rooms.log.view(session_id)).repository
        assert chosen is not None
        assert chosen.slug == "acme/web"
        await rooms.start_turn(session_id)
        card = await slack.wait_for_post(request, "Working")
        await ada.press(card, "Stop")
        await slack.wait_for_post(request, "Stopped by Ada")


async def test_the_same_event_four_times_is_one_session(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms):
        slack.repeat_events(4)
        request = await slack.person("Ada").say(slack.channel("general"), "round invoices half up")
        session_id = await session_of(rooms, slack)
        await slack.wait_for(lambda: bot_reactions(slack, request) == {"eyes"})
        await slack.wait_for_post(request, "Finding the repository")
        assert len((await rooms.log.view(session_id)).prompts) == 1
        assert len([call for call in slack.calls_to("chat.postMessage") if call.error is None]) == 1


async def test_guests_and_strangers_may_watch(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms):
        channel = slack.channel("general")
        request = await slack.person("Ada").say(channel, "round invoices half up")
        session_id = await session_of(rooms, slack)
        await rooms.start_turn(session_id)
        await rooms.ask_approval(session_id)
        asking = await slack.wait_for_post(request, "Round half up")
        outsiders = [
            slack.person("Guest", is_restricted=True),
            slack.person("Single", is_ultra_restricted=True),
            slack.person("Stranger", is_stranger=True),
        ]
        for outsider in outsiders:
            own = await outsider.say(channel, "do something")
            await slack.wait_for_delivery()
            await slack.wait_for_post(own, "full members here")
            await outsider.react(asking, "white_check_mark")
            await slack.wait_for_delivery()
        assert await rooms.sessions() == [session_id]
        assert (await rooms.log.view(session_id)).approvals[0].state == "open"


async def test_the_bell_takes_a_report_with_its_thread(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms):
        ada, grace = slack.person("Ada"), slack.person("Grace")
        channel = slack.channel("bugs")
        report = await grace.say(channel, "checkout shows 0.1 too much", mention_bot=False)
        await ada.say(channel, "since Monday", thread=report, mention_bot=False)
        await ada.react(report, "bellhop_bell")
        session_id = await session_of(rooms, slack)
        view = await rooms.log.view(session_id)
        assert view.prompts[0].prompt.text == "checkout shows 0.1 too much"
        assert view.requester.name == "Ada"
        assert [line.author for line in view.prompts[0].prompt.context] == ["Grace", "Ada"]
        await slack.wait_for_post(report, "Finding the repository")


async def test_direct_messages_threads_and_files(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms):
        ada = slack.person("Ada")
        uploads = [
            Upload("notes.txt", b"half up, always"),
            Upload("core.bin", b"\x00\x01", "application/octet-stream"),
            Upload("screen.png", b"\x89PNG", "image/png"),
        ]
        request = await ada.say_directly(
            "see the <https://example.com/rules|rules> &amp; notes", files=uploads
        )
        session_id = await session_of(rooms, slack)
        await slack.wait_for_post(request, "core.bin")
        await ada.say_directly("and the credit notes", thread=request)
        await slack.wait_for_delivery()
        first, second = (item.prompt for item in (await rooms.log.view(session_id)).prompts)
        assert first.text == "see the rules (https://example.com/rules) & notes"
        assert second.text == "and the credit notes"
        text, binary, image = first.attachments
        assert text.text == "half up, always"
        assert (binary.text, binary.image_data_url) == (None, None)
        assert image.image_data_url == "data:image/png;base64,iVBORw=="


async def test_forged_requests_are_turned_away(rooms: Rooms) -> None:
    body = '{"type": "event_callback"}'
    now = str(int(time.time()))
    good = signature("emulated-signing-secret", now, body)
    forged = [
        (now, signature("guessed", now, body), body),
        (now, good, body + " "),
        ("1700000000", signature("emulated-signing-secret", "1700000000", body), body),
        ("", "", body),
    ]
    async with (
        SlackEmulator() as slack,
        bot_on(slack, rooms, "http") as platform,
        web_server(platform.http) as url,
        aiohttp.ClientSession() as http,
    ):
        assert slack.signing_secret == "emulated-signing-secret"
        for stamp, signed, sent in forged:
            headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signed}
            async with http.post(f"{url}/slack/events", data=sent, headers=headers) as answer:
                assert answer.status == 401
        async with http.post(f"{url}/slack/events", data=io.BytesIO(b"x" * 1_100_000)) as answer:
            assert answer.status == 413


@pytest.mark.parametrize(
    "fault", [Dropped(committed=True), ServerError(committed=True), Dropped(committed=False)]
)
async def test_a_post_whose_answer_is_lost_is_looked_for_not_sent_again(
    rooms: Rooms, fault: Dropped | ServerError
) -> None:
    async with SlackEmulator() as slack, bot_on(slack, rooms):
        slack.fail_next("chat.postMessage", fault)
        request = await slack.person("Ada").say(slack.channel("general"), "round invoices half up")
        session_id = await session_of(rooms, slack)
        await slack.wait_for_post(request, "Finding the repository")
        slack.fail_next("chat.postMessage", fault)
        await rooms.start_turn(session_id)
        await rooms.write(session_id, e.UpdatePosted(text="Halfway there"))
        await slack.wait_for_post(request, "Halfway there")
        await slack.wait_for(lambda: "Working" in slack.posts(request)[0].shown)
        assert [m.shown.count("Halfway there") for m in slack.posts(request)] == [0, 1]


async def test_slack_asks_to_wait_and_one_broken_channel_holds_up_nobody(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms):
        ada = slack.person("Ada")
        broken, fine = slack.channel("broken"), slack.channel("fine")
        first = await ada.say(broken, "one")
        await slack.wait_for_delivery()
        await slack.wait_for_post(first, "Finding the repository")
        stuck = await rooms.only_session()
        broken.members.discard(slack.workspace.bot.id)
        await rooms.write(stuck, e.RoutingFailed(cause="No repository.", advice="Add one."))
        slack.fail_next("chat.postMessage", TooMany(1))
        second = await ada.say(fine, "two")
        await slack.wait_for_post(second, "Finding the repository")
        broken.members.add(slack.workspace.bot.id)
        await slack.wait_for_post(first, "No repository.")


async def test_what_was_said_while_the_bot_was_away_is_answered_once(rooms: Rooms) -> None:
    async with SlackEmulator(subscriptions=(), allow_unread=True) as slack:
        request = await slack.person("Ada").say(slack.channel("general"), "round invoices half up")
        slack.fail_next("conversations.history", Dropped(committed=False))
        for _ in range(2):
            async with bot_on(slack, rooms):
                await slack.wait_for_post(request, "Finding the repository")
        assert len(await rooms.sessions()) == 1
        assert len([c for c in slack.calls_to("chat.postMessage") if c.error is None]) == 1


async def test_replies_and_watched_words_of_the_time_away_are_taken_up_too(rooms: Rooms) -> None:
    async with SlackEmulator(subscriptions=(), allow_unread=True) as slack:
        ada, channel = slack.person("Ada"), slack.channel("general")
        request = await ada.say(channel, "round invoices half up")
        async with bot_on(slack, rooms):
            await slack.wait_for_post(request, "Finding the repository")
        session_id = await rooms.only_session()
        gone = await ada.say(channel, "round the credit notes half up")
        async with bot_on(slack, rooms):
            await slack.wait_for_post(gone, "Finding the repository")
        admin = await person_of(rooms, ada)
        await rooms.directory.set_role(admin.id, "admin")
        here = channel_of((await rooms.log.view(session_id)).origin)
        await rooms.customs.channels.set_words(
            admin, here, [WatchedWord("outage", starts=True)], through="web"
        )
        await ada.say(channel, "and a test for it", thread=request, mention_bot=False)
        gone.deleted, read = True, list[str]()
        slack.calls.clear()
        for number in range(100):
            slack.workspace.post(channel, ada.user, f"chatter {number}")
        talk = await ada.say(channel, "lunch?", mention_bot=False)
        await ada.say(channel, "round the shop half up", thread=talk)
        await ada.say(channel, "no outage here", thread=talk, mention_bot=False)
        outage = await ada.say(channel, "Outage in the shop", mention_bot=False)
        for _ in range(2):
            async with bot_on(slack, rooms):
                await slack.wait_for_post(outage, "Finding the repository")
                await slack.wait_for_post(talk, "Finding the repository")
            asked = slack.calls_to("conversations.replies")
            read = read or [call.args["ts"] for call in asked if "oldest" in call.args]
        prompts = [item.prompt.text for item in (await rooms.log.view(session_id)).prompts]
        assert prompts == ["round invoices half up", "and a test for it"]
        assert len(await rooms.sessions()) == 4
        assert sorted(read) == sorted([request.ts, gone.ts, talk.ts]), "each once, the one that is gone too"


async def test_a_restart_goes_on_where_it_was(rooms: Rooms) -> None:
    async with SlackEmulator() as slack:
        async with bot_on(slack, rooms):
            request = await slack.person("Ada").say(slack.channel("general"), "round invoices half up")
            session_id = await session_of(rooms, slack)
            await slack.wait_for_post(request, "Finding the repository")
            await rooms.start_turn(session_id)
        await rooms.write(session_id, e.UpdatePosted(text="Halfway there"))
        await rooms.write(session_id, e.TurnFinished(turn_id="t0", summary="All done."))
        async with bot_on(slack, rooms):
            await slack.wait_for_post(request, "All done.")
            await slack.wait_for(lambda: "Done" in slack.posts(request)[0].shown)
        shown = [m.shown for m in slack.posts(request)]
        assert len(shown) == 3
        assert "Halfway there" in shown[1]


async def test_own_emoji_are_used_where_the_workspace_has_them(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack:
        slack.custom_emoji("bellhop", "bellhop-working")
        async with bot_on(slack, rooms):
            ada = slack.person("Ada")
            request = await ada.say(slack.channel("general"), "round invoices half up")
            await slack.wait_for(lambda: bot_reactions(slack, request) == {"bellhop"})
            await slack.wait_for_post(request, ":bellhop-working:")


async def test_searching_the_menu_of_many_repositories(rooms: Rooms) -> None:
    many = [Choice(f"acme/service-{n}", f"acme/service-{n}") for n in range(150)]
    async with SlackEmulator(allow_unread=True) as slack:
        platform = slack_platform(slack, repositories=many)
        async with bot_on(slack, rooms, platform=platform):
            ada = slack.person("Ada")
            request = await ada.say(slack.channel("general"), "make it faster")
            session_id = await session_of(rooms, slack)
            origin = (await rooms.log.view(session_id)).origin
            place = Place(origin.workspace, origin.channel, origin.thread)
            await platform.post(place, repository_menu(session_id, "Which one?", (), many), "k1")
            shown = await slack.wait_for_post(request, "Which one?")
            found = await ada.search(shown, "bellhop:pick_repository:menu", "service-14")
            assert [option["value"] for option in found][:2] == ["acme/service-14", "acme/service-140"]


async def test_a_token_that_slack_does_not_know_is_an_error_at_start() -> None:
    async with SlackEmulator() as slack:
        platform = slack_platform(slack, installations=OwnToken("xoxb-wrong"))
        with pytest.raises(PlaceGone, match="invalid_auth"):
            await platform.run(Notebook())
        slack.take_violations()


async def test_a_slack_that_is_away_at_start_is_waited_for(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack:
        slack.fail_next("auth.test", ServerError(), Dropped(committed=False))
        async with bot_on(slack, rooms):
            request = await slack.person("Ada").say(slack.channel("general"), "round invoices half up")
            await slack.wait_for_post(request, "Finding the repository")


async def test_an_event_whose_author_cannot_be_looked_up_comes_again(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms, "http"):
        slack.fail_next("users.info", ServerError(), ServerError())
        request = await slack.person("Ada").say(slack.channel("general"), "round invoices half up")
        await slack.wait_for_post(request, "Finding the repository")
        assert len(await rooms.sessions()) == 1


@pytest.mark.parametrize("way", ["socket", "http"])
async def test_whoever_opens_the_direct_messages_finds_a_sandbox_of_their_last_repository(
    rooms: Rooms, way: Way
) -> None:
    async with SlackEmulator(allow_unread=True) as slack, bot_on(slack, rooms, way):
        ada, grace = slack.person("Ada"), slack.person("Grace")
        await ada.say(slack.channel("billing"), "round invoices half up")
        await rooms.start_turn(await session_of(rooms, slack))
        for person in (grace, ada, ada):
            await person.open_home()
        await slack.wait_for_delivery()
        assert await rooms.queue.status("warm_box", "acme/billing", 0) == "queued"
        assert await rooms.queue.depth() == 2, "the session's routing, and one box however often it is opened"
