"""The same story on the emulated Discord; it refuses what the real one would."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from bot.messages import Choice, Place
from bot.thread_posts import repository_menu
from session import events as e
from session.people import Identity
from tests.bot.discord_side import FINDING, bot_on, discord_platform, seen, session_of
from tests.bot.rooms import Rooms
from tests.bot.test_platform_contract import Notebook, running
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.people import File
from tests.emulators.discord.world import VOICE


async def test_a_mention_is_seen_carded_approved_and_answered(rooms: Rooms) -> None:
    async with DiscordEmulator() as discord:
        channel = discord.channel("billing", topic="money in")
        async with bot_on(discord, rooms):
            ada, grace = discord.person("Ada"), discord.person("Grace")
            request = ada.say(channel, "round invoices half up")
            session_id = await session_of(rooms, discord, request)
            await seen(discord, request)
            thread = discord.world.thread_of(request)
            assert thread is not None
            assert (thread.name, thread.parent) == ("round invoices half up", channel)
            view = await rooms.log.view(session_id)
            assert (view.origin.channel_name, view.origin.channel_topic) == ("billing", "money in")
            assert (view.prompts[0].prompt.text, view.requester.name) == ("round invoices half up", "Ada")
            await rooms.start_turn(session_id)
            card = await discord.wait_for_post(request, "Working")
            await rooms.ask_approval(session_id)
            asking = await discord.wait_for_post(request, "Round half up")
            grace.react(asking, "✅")
            await discord.wait_for_post(request, "Approved by Grace")
            approved = (await rooms.log.view(session_id)).approvals[0]
            assert (approved.state, approved.by and approved.by.name) == ("given", "Grace")
            grace.unreact(asking, "✅")
            await discord.wait_for(lambda: "Approved by Grace" not in asking.shown)
            await rooms.write(session_id, e.TurnFinished(turn_id="t0", summary="Rounded *half up*."))
            await discord.wait_for_post(request, "Rounded *half up*.")
            await discord.wait_for(lambda: "Done" in card.shown)
            await discord.wait_for(lambda: discord.marks(request) == {"✅"})
            assert len(discord.posts(request)) == 3


async def test_buttons_menus_and_the_search_of_many_repositories(rooms: Rooms) -> None:
    many = [Choice(f"acme/service-{n}", f"acme/service-{n}") for n in range(60)]
    many += [Choice("acme/billing", "acme/billing", "invoices"), Choice("acme/web", "acme/web")]
    async with DiscordEmulator(allow_unread=True) as discord:
        channel = discord.channel("general")
        platform = discord_platform(discord, repositories=many)
        async with bot_on(discord, rooms, platform=platform):
            ada, guest = discord.person("Ada"), discord.person("Guest", pending=True)
            request = ada.say(channel, "make it faster")
            session_id = await session_of(rooms, discord, request)
            origin = (await rooms.log.view(session_id)).origin
            place = Place(origin.workspace, origin.channel, origin.thread)
            await rooms.write(session_id, e.RepositoryAsked(reason="It could be two.", candidates=()))
            few = await discord.wait_for_post(request, "Which repository")
            await ada.pick(few, "Any other repository…", "acme/web")
            await discord.wait_for_post(request, "picked by Ada")
            await platform.post(place, repository_menu(session_id, "Which one?", (), many, "acme/web"), "k1")
            shown = await discord.wait_for_post(request, "Which one?")
            await guest.submit(await guest.press(shown, "Any other repository…"), "invoices")
            await discord.wait_for_aside(guest, "full members here")
            opened = await ada.press(shown, "Any other repository…")
            await ada.submit(opened, "no such thing")
            await discord.wait_for_aside(ada, "No repository has these words")
            await ada.submit(opened, "service")
            offer = await discord.wait_for_aside(ada, "There are 35 more")
            await ada.pick(offer, "Pick one…", "acme/service-7")
            await discord.wait_for_aside(ada, "acme/service-7")
            await ada.submit(opened, "invoices")
            await discord.wait_for_aside(ada, "`acme/billing` it is")
            chosen = (await rooms.log.view(session_id)).repository
            assert chosen is not None
            assert chosen.slug == "acme/billing"
            await rooms.start_turn(session_id)
            card = await discord.wait_for_post(request, "Working")
            await ada.press(card, "Stop")
            await discord.wait_for_post(request, "Stopped by Ada")


async def test_follow_ups_in_a_thread_go_by_what_can_be_read(rooms: Rooms) -> None:
    """With the intent plain words are read; without it only what mentions us."""
    for content in (True, False):
        async with DiscordEmulator(allow_unread=True, message_content=content, flag_lies=True) as discord:
            channel = discord.channel("general")
            async with bot_on(discord, rooms):
                ada, grace = discord.person("Ada"), discord.person("Grace")
                request = ada.say(channel, f"round invoices half up {content}")
                await discord.wait_for_post(request, FINDING)
                session_id = (await rooms.sessions())[0]
                thread = discord.world.thread_of(request)
                assert thread is not None
                plain = ada.say(thread, "and the credit notes", mention_bot=False)
                if content:
                    await seen(discord, plain)
                aside = grace.say(thread, "lunch?", mention_bot=False, calling=[ada.user])
                between = [
                    grace.say(thread, "or at noon", mention_bot=False),
                    ada.say(thread, "at noon", mention_bot=False),
                ]
                await seen(discord, ada.say(thread, "and the receipts"))
                texts = [item.prompt.text for item in (await rooms.log.view(session_id)).prompts[1:]]
                assert texts == (["and the credit notes"] if content else []) + ["and the receipts"]
                assert discord.marks(plain) == ({"👀"} if content else set())
                assert [discord.marks(words) for words in (aside, *between)] == [set()] * 3
                assert discord.gateway.identified == 1


async def test_what_people_write_is_read_as_they_see_it(rooms: Rooms) -> None:
    async with DiscordEmulator(allow_unread=True) as discord:
        channel, role = discord.channel("general"), discord.role("reviewers")
        async with bot_on(discord, rooms):
            ada, grace = discord.person("Ada"), discord.person("Grace")
            report = grace.say(channel, "refunds are rounded down", mention_bot=False)
            words = f"see <#{channel.id}>, <@&{role}> <:shipit:123456> !"
            request = ada.say(
                channel,
                words,
                mention_bot=False,
                calling=[grace.user],
                roles=[discord.world.bot_role.id],
                reply_to=report,
            )
            session_id = await session_of(rooms, discord, request)
            prompt = (await rooms.log.view(session_id)).prompts[0].prompt
            assert prompt.text == "@Grace see #general, @reviewers :shipit: !"
            assert [(line.author, line.text) for line in prompt.context] == [
                ("Grace", "refunds are rounded down")
            ]


async def test_direct_messages_files_and_going_on(rooms: Rooms) -> None:
    async with DiscordEmulator(allow_unread=True) as discord, bot_on(discord, rooms):
        ada = discord.person("Ada")
        files = [
            File("notes.txt", b"half up, always"),
            File("core.bin", b"\x00\x01", "application/octet-stream"),
            File("screen.png", b"\x89PNG", "image/png"),
        ]
        request = ada.say_directly("see <#1> and the notes", files=files)
        card = await discord.wait_for_post(request, FINDING)
        session_id = await rooms.only_session()
        assert card.reference is request
        await discord.wait_for_post(request, "core.bin")
        follow = ada.say_directly("and the credit notes")
        await seen(discord, follow)
        other = ada.say_directly("something else", mention_bot=True)
        await seen(discord, other)
        back = ada.say_directly("and the receipts", reply_to=card)
        await seen(discord, back)
        assert len(await rooms.sessions()) == 2
        first, *later = (item.prompt for item in (await rooms.log.view(session_id)).prompts)
        assert first.text == "see #a channel and the notes"
        assert [prompt.text for prompt in later] == ["and the credit notes", "and the receipts"]
        text, binary, image = first.attachments
        assert text.text == "half up, always"
        assert (binary.text, binary.image_data_url) == (None, None)
        assert image.image_data_url == "data:image/png;base64,iVBORw=="
        await ada.press(card, "Stop")
        await discord.wait_for_post(request, "Stopped by Ada")
        ada.react(card, "🔁")
        await discord.wait_for(lambda: "Finding" in card.shown)


async def test_where_there_are_no_threads_answers_are_replies(rooms: Rooms) -> None:
    async with DiscordEmulator(allow_unread=True) as discord:
        lounge = discord.channel("lounge", kind=VOICE)
        async with bot_on(discord, rooms):
            request = discord.person("Ada").say(lounge, "round invoices half up")
            await discord.wait_for(lambda: any(m.reference is request for m in discord.world.messages))
            await seen(discord, request)
            assert await rooms.only_session()


@dataclass
class Expecting(Notebook):
    """Knows sessions in some threads, and notes who is about to ask for something."""

    threads: set[str] = field(default_factory=set)
    arrived: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def knows(self, place: Place) -> bool:
        return place.thread in self.threads

    async def on_arrival(self, identity: Identity) -> None:
        self.arrived.put_nowait(identity.name)


async def test_whoever_begins_to_write_where_a_session_lives_or_to_us_alone_arrives() -> None:
    async with DiscordEmulator(allow_unread=True) as discord:
        channel, inbox = discord.channel("general"), Expecting()
        ada, grace = discord.person("Ada"), discord.person("Grace")
        guest = discord.person("Guest", pending=True)
        direct = grace.say_directly("hello").channel
        ours, other = [
            ada.begin_thread(ada.say(channel, text, mention_bot=False), text) for text in ("work", "lunch")
        ]
        inbox.threads.add(str(ours.id))
        platform = discord_platform(discord)
        async with running(platform, inbox):
            await asyncio.wait_for(platform.ready(), 60)
            for person, place in (
                (ada, channel),
                (ada, other),
                (guest, ours),
                (ada, ours),
                (ada, ours),
                (grace, direct),
            ):
                person.type_in(place)
            arrived = {await asyncio.wait_for(inbox.arrived.get(), 60) for _ in range(2)}
        assert arrived == {"Ada", "Grace"}
        assert inbox.arrived.empty(), "guests, other threads, and going on writing do not count"


async def test_a_watched_word_starts_work_and_a_voice_clip_is_offered_unread() -> None:
    async with DiscordEmulator(allow_unread=True) as discord:
        channel, ada = discord.channel("alarms"), discord.person("Ada")
        inbox = Notebook(watched="outage")
        platform = discord_platform(discord)
        async with running(platform, inbox):
            await asyncio.wait_for(platform.ready(), 60)
            clip = File("voice.ogg", b"OggS", "audio/ogg", seconds=3.5)
            ada.say(channel, "all is well", mention_bot=False)
            ada.say(
                channel, "an outage again", mention_bot=False, files=[clip, File("notes.txt", b"at noon")]
            )
            await asyncio.wait_for(inbox.spoken_to.wait(), 60)
            (message,) = inbox.messages
            assert (message.text, message.mentions_bot) == ("an outage again", False)
            assert [item.text for item in message.attachments] == ["at noon"]
            (found,) = message.clips
            assert (found.name, found.media_type, found.seconds) == ("voice.ogg", "audio/ogg", 3.5)
            assert (await found.read(found.size_bytes), await found.read(3)) == (b"OggS", None)
