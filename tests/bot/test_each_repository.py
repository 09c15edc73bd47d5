"""A request about several repositories: at a person's word each gets a session and thread of its own."""

from __future__ import annotations

import asyncio

from bot.messages import Press
from bot.platforms.console.people import CHANNEL, PLATFORM, WORKSPACE, identity
from bot.platforms.console.platform import ConsolePlatform
from bot.platforms.console.thread import ConsoleMessage
from session import events as e
from session.channel_rules import channel_of
from session.each_repository import EACH, OLD_QUESTION, together_digest
from session.picks import Picks
from tests.bot.discord_side import bot_on as discord_bot
from tests.bot.rooms import Rooms
from tests.bot.slack_side import bot_on as slack_bot
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.faults import ServerError
from tests.emulators.slack.emulator import SlackEmulator

BOTH = (e.Candidate(slug="acme/web"), e.Candidate(slug="acme/billing"))
ASKED = e.RepositoryAsked(reason="Both send mails.", candidates=BOTH, together=True)


async def began(rooms: Rooms, session_id: str) -> str:
    """The id of the other session, after both are seen to be as they should."""
    view = await rooms.log.view(session_id)
    (other_id,) = set(await rooms.sessions()) - {session_id}
    assert view.repository is not None
    assert (view.repository.slug, view.repository.beside) == ("acme/web", ("acme/billing",))
    assert view.repository.beside_sessions == (other_id,)
    other = await rooms.log.view(other_id)
    (prompt,) = other.waiting_prompts
    assert (prompt.prompt.text, prompt.prompt.repository) == ("bump the mail library", "acme/billing")
    assert other.begun_with == e.BegunWith(session_id=session_id, slug="acme/web")
    assert other.requester == view.requester
    assert other.origin.thread not in ("", view.origin.thread)
    return other_id


async def test_each_gets_a_session_at_the_word_of_who_asked(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        await rooms.set_role("Linus", "prompter")
        request = await console.people.say("bump the mail library")
        session_id = await rooms.only_session()
        await rooms.write(session_id, ASKED)

        def question(message: ConsoleMessage) -> bool:
            return message.kind == "repository" and f"[{EACH}]" in message.text

        asked = await console.threads.wait_for(question, 60)
        await console.people.press(EACH, "Linus")
        refused = await console.threads.wait_for(lambda m: m.only_for == "linus", 60)
        assert "Only Ada or an approver" in refused.text
        assert await rooms.sessions() == [session_id]

        # Two press at once: each repository still has one session, and one thread.
        await asyncio.gather(console.people.press(EACH), console.people.press(EACH))
        settled = await console.threads.wait_for(lambda m: m.id == asked.id and "The same for" in m.text, 60)
        other_id = await began(rooms, session_id)
        assert "picked by Ada" in settled.text
        thread = (await rooms.log.view(other_id)).origin.thread
        await console.threads.wait_for(lambda m: m.kind == "card" and m.thread == thread, 60)
        await console.people.say("only the major version", thread=thread)
        assert len((await rooms.log.view(other_id)).prompts) == 2
        assert {m.thread for m in console.threads} == {request.thread, thread}
        # Such a request teaches nothing about requests that are about one of them.
        assert await Picks(rooms.database).of(channel_of((await rooms.log.view(session_id)).origin)) == ()


async def test_a_button_begins_only_what_it_showed(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console, with_feed=False) as inbox:
        request = await console.people.say("bump the mail library")
        session_id = await rooms.only_session()
        await rooms.write(session_id, ASKED.model_copy(update={"candidates": BOTH[::-1]}))
        press = Press(
            event_id="p1",
            platform=PLATFORM,
            workspace=WORKSPACE,
            channel=CHANNEL,
            thread=request.thread,
            message=request.id,
            author=identity("Ada"),
            action="pick_each",
            session_id=session_id,
            value=together_digest(ASKED),
        )
        await inbox.on_press(press)
        assert OLD_QUESTION in [m.text for m in console.threads if m.only_for == "ada"]
        assert await rooms.sessions() == [session_id]


async def test_on_slack_too(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as slack, slack_bot(slack, rooms):
        ada = slack.person("Ada")
        request = await ada.say(slack.channel("general"), "bump the mail library")
        await slack.wait_for_post(request, "Finding the repository")
        session_id = await rooms.only_session()
        await rooms.write(session_id, ASKED)
        question = await slack.wait_for_post(request, EACH)
        # Where no message can be written, the thread says so, and the question stands.
        slack.fail_next("chat.postMessage", ServerError())
        await ada.press(question, EACH)
        await slack.wait_for_post(request, "I cannot begin a thread for acme/billing")
        assert await rooms.only_session() == session_id
        # Somebody presses it on the page.
        asker = (await rooms.log.view(session_id)).requester
        await rooms.commands.request_each(session_id, together_digest(ASKED), asker)
        await slack.wait_for_post(request, "The same for")
        other = (await rooms.log.view(await began(rooms, session_id))).origin
        root = next(m for m in slack.channel_messages(request.channel) if m.ts == other.thread)
        assert "Begun with acme/web (https://" in root.shown
        assert f"/p{request.ts.replace('.', '')}), for a request of Ada" in root.shown
        await slack.wait_for_post(root, "Finding the repository")


async def test_on_discord_too(rooms: Rooms) -> None:
    async with DiscordEmulator(allow_unread=True) as discord:
        channel = discord.channel("general")
        async with discord_bot(discord, rooms):
            grace = discord.person("Grace")
            asking = grace.say(channel, "bump the mail library")
            await discord.wait_for_post(asking, "Finding the repository")
            session_id = await rooms.only_session()
            await rooms.write(session_id, ASKED)
            await grace.press(await discord.wait_for_post(asking, EACH), EACH)
            await discord.wait_for_post(asking, "The same for")
            other = (await rooms.log.view(await began(rooms, session_id))).origin
            root = next(m for m in discord.channel_messages(channel) if str(m.id) == other.thread)
            assert f"/{asking.id}), for a request of Grace" in root.shown
            await discord.wait_for_post(root, "Finding the repository")
