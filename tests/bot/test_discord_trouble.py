"""What goes wrong between the bot and the emulated Discord, and what comes of it."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from bot.messages import ChatMessage, Place, Post
from bot.platforms.protocol import PlaceGone, PlatformError
from session import events as e
from tests.bot.discord_side import FINDING, SEND, bot_on, discord_platform, seen, sent, session_of
from tests.bot.rooms import Rooms
from tests.bot.test_platform_contract import Notebook, running
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.faults import Denied, TooMany
from tests.emulators.discord.interactions import SAY_LATER
from tests.emulators.discord.rate_limits import RateLimits
from tests.emulators.faults import Dropped, ServerError


async def test_what_could_not_be_read_is_tried_again_in_its_order(rooms: Rooms) -> None:
    async with DiscordEmulator(allow_unread=True) as discord, bot_on(discord, rooms):
        ada = discord.person("Ada")
        discord.fail_next("GET /channels/{}/messages", ServerError())
        ada.say_directly("round invoices half up")
        await seen(discord, ada.say_directly("and the credit notes"))
        texts = [item.prompt.text for item in (await rooms.log.view(await rooms.only_session())).prompts]
        assert texts == ["round invoices half up", "and the credit notes"]


@pytest.mark.parametrize(
    "fault", [Dropped(committed=True), ServerError(500, committed=True), Dropped(committed=False)]
)
async def test_a_post_whose_answer_is_lost_is_looked_for_not_sent_again(
    rooms: Rooms, fault: Dropped | ServerError
) -> None:
    async with DiscordEmulator() as discord:
        channel = discord.channel("general")
        async with bot_on(discord, rooms):
            discord.fail_next(SEND, fault)
            request = discord.person("Ada").say(channel, "round invoices half up")
            session_id = await session_of(rooms, discord, request)
            discord.fail_next(SEND, Dropped(committed=True))
            await rooms.start_turn(session_id)
            await rooms.write(session_id, e.UpdatePosted(text="Halfway there"))
            await discord.wait_for_post(request, "Halfway there")
            await discord.wait_for(lambda: "Working" in discord.posts(request)[0].shown)
            assert [m.shown.count("Halfway there") for m in discord.posts(request)] == [0, 1]


async def test_a_second_try_with_the_same_key_is_the_first_message() -> None:
    async with DiscordEmulator(allow_unread=True) as discord:
        channel = discord.channel("general")
        request = discord.person("Ada").say(channel, "thanks", mention_bot=False)
        place = Place(discord.guild_id, str(channel.id), str(request.id))
        platform = discord_platform(discord)
        async with running(platform, Notebook()):
            await asyncio.wait_for(platform.ready(), 60)
            first, second, other = [
                await platform.post(place, Post("update", "s1", "halfway"), key) for key in ("k1", "k1", "k2")
            ]
        assert first == second != other


async def test_limits_are_kept_and_one_broken_channel_holds_up_nobody(rooms: Rooms) -> None:
    limits = RateLimits(of={SEND: (2, 0.3)})
    async with DiscordEmulator(allow_unread=True, rate_limits=limits) as discord:
        broken, fine = discord.channel("broken", denied={"send_messages_in_threads"}), discord.channel("fine")
        async with bot_on(discord, rooms):
            ada = discord.person("Ada")
            ada.say(broken, "one")
            await discord.wait_for(lambda: any(call.status == 403 for call in discord.calls_to(SEND)))
            second = ada.say(fine, "two")
            await discord.wait_for_post(second, FINDING)
            session_id = (await rooms.sessions())[0]
            discord.fail_next(SEND, TooMany(0.05))
            for number in range(5):
                await rooms.write(session_id, e.UpdatePosted(text=f"step {number}"))
            await discord.wait_for_post(second, "step 4")
            statuses = [call.status for call in discord.calls_to(SEND)]
            assert statuses.count(429) == 1, "only the one that was made to fail"
            assert statuses.count(403) == 1, "what was refused is not asked again at once"


async def test_what_was_said_while_the_bot_was_away_is_answered_once(rooms: Rooms) -> None:
    async with DiscordEmulator(allow_unread=True) as discord:
        channel, ada = discord.channel("general"), discord.person("Ada")
        request = ada.say(channel, "round invoices half up")
        ada.say(channel, "not for you", mention_bot=False)
        discord.fail_next("GET /channels/{}/messages", Dropped(committed=False))
        async with bot_on(discord, rooms):
            session_id = await session_of(rooms, discord, request)
            thread = discord.world.thread_of(request)
            assert thread is not None
        follow = ada.say(thread, "and the credit notes", mention_bot=False)
        async with bot_on(discord, rooms):
            await seen(discord, follow)
            # A break that is resumed: what was said meanwhile is told by the gateway.
            await discord.gateway.drop()
            second = ada.say(thread, "and the receipts", mention_bot=False)
            await seen(discord, second)
            assert (discord.gateway.identified, discord.gateway.resumed) == (2, 1)
            # One that cannot be resumed: what was said meanwhile is read, direct messages too.
            direct = ada.say_directly("fix the shop")
            await discord.wait_for_post(direct, FINDING)
            await discord.gateway.drop(invalidate=True)
            third = ada.say(thread, "and the reminders", mention_bot=False)
            other = ada.say_directly("and the till", reply_to=direct)
            await seen(discord, third)
            await seen(discord, other)
            assert discord.gateway.identified == 3
        assert len(await rooms.sessions()) == 2
        texts = [item.prompt.text for item in (await rooms.log.view(session_id)).prompts[1:]]
        assert texts == ["and the credit notes", "and the receipts", "and the reminders"]
        assert sent(discord) == 2


async def test_a_restart_goes_on_where_it_was_also_in_a_thread_that_sleeps(rooms: Rooms) -> None:
    async with DiscordEmulator() as discord:
        channel = discord.channel("general")
        async with bot_on(discord, rooms):
            request = discord.person("Ada").say(channel, "round invoices half up")
            session_id = await session_of(rooms, discord, request)
            await rooms.start_turn(session_id)
            await discord.wait_for_post(request, "Working")
            await seen(discord, request)
        thread = discord.world.thread_of(request)
        assert thread is not None
        thread.archived = True
        await rooms.write(session_id, e.PlanChanged(items=(e.PlanItem(text="look again"),)))
        async with bot_on(discord, rooms):
            await discord.wait_for(lambda: "look again" in discord.posts(request)[0].shown)
            await rooms.write(session_id, e.TurnFinished(turn_id="t0", summary="All done."))
            await discord.wait_for_post(request, "All done.")
            await discord.wait_for(lambda: "Done" in discord.posts(request)[0].shown)
            await discord.wait_for(lambda: discord.marks(request) == {"✅"})
        assert len(discord.posts(request)) == 2


async def test_what_is_pressed_is_acknowledged_although_the_database_hangs(
    rooms: Rooms, tmp_path: Path
) -> None:
    async with DiscordEmulator(allow_unread=True) as discord:
        channel = discord.channel("general")
        async with bot_on(discord, rooms):
            ada = discord.person("Ada")
            request = ada.say(channel, "round invoices half up")
            await session_of(rooms, discord, request)
            card = discord.posts(request)[0]
            await seen(discord, request)
            blocker = sqlite3.connect(
                tmp_path / "bellhop.db", timeout=60, isolation_level=None, check_same_thread=False
            )
            try:
                # In a thread of its own: what the bot just writes must come to its end.
                await asyncio.to_thread(blocker.execute, "BEGIN EXCLUSIVE")
                await ada.press(card, "Stop")
                asked = await ada.command(channel, "bellhop", task="one more")
                assert asked.answer == SAY_LATER
            finally:
                blocker.execute("ROLLBACK")
                blocker.close()
            await discord.wait_for_post(request, "Stopped by Ada")
            await discord.wait_for(lambda: asked.original is not None and discord.marks(asked.original))
            assert len(await rooms.sessions()) == 2


async def test_an_answer_that_comes_too_late_goes_to_the_person_directly(rooms: Rooms) -> None:
    async with DiscordEmulator(allow_unread=True) as discord:
        channel = discord.channel("general")
        platform = discord_platform(discord)
        async with bot_on(discord, rooms, platform=platform):
            ada = discord.person("Ada")
            request = ada.say(channel, "round invoices half up")
            session_id = await session_of(rooms, discord, request)
            await rooms.start_turn(session_id)
            await rooms.ask_approval(session_id)
            asking = await discord.wait_for_post(request, "Round half up")
            discord.fail_next("POST /webhooks/{}/{}", Denied(404, 10015))
            watcher = discord.person("Watcher", pending=True)
            await watcher.press(asking, "🛑 No")
            told = await discord.wait_for_aside(watcher, "full members here")
            assert told.channel.recipient is watcher.user
            assert f"/{discord.guild_id}/{request.id}" in told.shown


async def test_of_two_things_said_at_once_a_closed_mailbox_is_tried_with_one(rooms: Rooms) -> None:
    async with DiscordEmulator(allow_unread=True) as discord:
        place = Place(discord.guild_id, str(discord.channel("general").id))
        async with bot_on(discord, rooms) as platform:
            user = discord.person("Deaf").user
            await platform.tell(place, str(user.id), "hello")
            user.takes_messages = False
            ends = await asyncio.gather(
                *(platform.tell(place, str(user.id), text) for text in ("one", "two")), return_exceptions=True
            )
        assert [type(end) for end in ends] == [PlaceGone, PlaceGone]
        assert [call.status for call in discord.calls_to(SEND)] == [200, 403]


async def test_a_token_that_discord_does_not_take_ends_it(rooms: Rooms) -> None:
    async with DiscordEmulator(allow_unread=True) as discord:
        platform = discord_platform(discord, token="wrong")
        with pytest.raises(PlatformError, match="check DISCORD_BOT_TOKEN"):
            async with rooms.serving(platform) as inbox:
                await platform.run(inbox)
        assert [violation.split(":")[0] for violation in discord.take_violations()] == ["GET /users/@me"] * 2


async def test_after_a_refused_token_nothing_is_asked_any_more() -> None:
    async with DiscordEmulator() as discord:
        channel = discord.channel("general")
        request = discord.person("Ada").say(channel, "thanks", mention_bot=False)
        place = Place(discord.guild_id, str(channel.id), str(request.id))
        platform = discord_platform(discord)
        connected = asyncio.create_task(platform.run(Notebook()))
        await asyncio.wait_for(platform.ready(), 60)
        discord.fail_next("PUT /channels/{}/messages/{}/reactions/{}/@me", Denied(401))
        with pytest.raises(PlatformError, match="check DISCORD_BOT_TOKEN"):
            await platform.react(place, str(request.id), "👀")
        with pytest.raises(PlatformError, match="check DISCORD_BOT_TOKEN"):
            await asyncio.wait_for(connected, 60)
        asked = len(discord.calls)
        with pytest.raises(PlatformError):
            await platform.react(place, str(request.id), "👀")
        with pytest.raises(PlatformError, match="check DISCORD_BOT_TOKEN"):
            await platform.run(Notebook())
        assert len(discord.calls) == asked


async def test_a_discord_that_is_away_at_start_is_waited_for(rooms: Rooms) -> None:
    async with DiscordEmulator() as discord:
        channel = discord.channel("general")
        discord.fail_next("GET /users/@me", ServerError(), Dropped(committed=False))
        async with bot_on(discord, rooms):
            request = discord.person("Ada").say(channel, "round invoices half up")
            await discord.wait_for_post(request, FINDING)


class Hanging(Notebook):
    """Never comes to an end with what it is brought."""

    ended = False

    async def on_message(self, message: ChatMessage) -> None:
        self.spoken_to.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


async def test_what_hangs_ends_with_the_bot() -> None:
    async with DiscordEmulator() as discord:
        platform, inbox = discord_platform(discord), Hanging()
        async with running(platform, inbox):
            await asyncio.wait_for(platform.ready(), 60)
            discord.person("Ada").say(discord.channel("general"), "round invoices half up")
            await asyncio.wait_for(inbox.spoken_to.wait(), 60)
        assert inbox.ended
