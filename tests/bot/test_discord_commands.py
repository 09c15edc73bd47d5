"""Commands of Discord itself, and who may use them, on the emulated Discord."""

from __future__ import annotations

from session.people import Identity
from tests.bot.discord_side import FINDING, SEND, bot_on, discord_platform, session_of
from tests.bot.rooms import Rooms
from tests.emulators.discord.emulator import DiscordEmulator


async def test_commands_of_discord_itself(rooms: Rooms) -> None:
    async with DiscordEmulator(allow_unread=True) as discord:
        channel, closed = discord.channel("general"), discord.channel("closed")
        async with bot_on(discord, rooms):
            ada, guest = discord.person("Ada"), discord.person("Guest", pending=True)
            assert await ada.complete(channel, "bellhop", "repository", "BILL") == ["acme/billing"]
            assert await guest.complete(channel, "bellhop", "repository", "") == []
            await ada.command(channel, "sessions")
            await discord.wait_for_aside(ada, "You have no sessions yet")
            await guest.command(channel, "bellhop", task="do something")
            await discord.wait_for_aside(guest, "full members here")
            asked = await ada.command(
                channel, "bellhop", task="round *half* up", repository="acme/billing", model="small"
            )
            await discord.wait_for(lambda: asked.original is not None)
            request = asked.original
            assert request is not None
            assert request.shown == "**Ada** asks:\n> round *half* up"
            session_id = await session_of(rooms, discord, request)
            prompt = (await rooms.log.view(session_id)).prompts[0].prompt
            assert (prompt.text, prompt.repository, prompt.model) == (
                "round *half* up",
                "acme/billing",
                "small",
            )
            thread = discord.world.thread_of(request)
            assert thread is not None
            await rooms.start_turn(session_id)
            for line in ("round *half* up", "Working", "acme/billing", f"/s/{session_id}"):
                await ada.command(thread, "status")
                await discord.wait_for_aside(ada, line)
            await ada.command(channel, "sessions")
            await discord.wait_for_aside(ada, "round *half* up: working in `acme/billing`")
            await guest.command(thread, "stop")
            await discord.wait_for(lambda: len(discord.asides(guest)) == 2)
            await ada.command(channel, "stop")
            await discord.wait_for_aside(ada, "no session of mine in this thread")
            await ada.command(thread, "stop")
            await discord.wait_for_aside(ada, "Stopping.")
            assert (await rooms.log.view(session_id)).state == "stopped"
            discord.world.bot_role.permissions = discord.world.everyone.permissions = 1 << 10
            await ada.command(closed, "bellhop", task="work here")
            await discord.wait_for_aside(ada, "Create Public Threads")
            assert await rooms.sessions() == [session_id]


async def test_commands_are_registered_only_when_they_changed(rooms: Rooms) -> None:
    put = "PUT /applications/{}/guilds/{}/commands"
    async with DiscordEmulator() as discord:
        for times in (1, 1):
            async with bot_on(discord, rooms):
                assert len(discord.calls_to(put)) == times
        names = {command["name"] for command in discord.world.commands}
        assert names == {"bellhop", "preferences", "stop", "status", "sessions", "Send to Bellhop"}
        (entry,) = [command for command in discord.world.commands if command["type"] == 3]
        assert entry["description"] == "", "so Discord answers, although nothing of the kind was sent"
        discord.world.commands[0]["description"] = "an older one"
        async with bot_on(discord, rooms):
            assert len(discord.calls_to(put)) == 2


async def test_members_may_act_and_everybody_else_watches(rooms: Rooms) -> None:
    async with DiscordEmulator(allow_unread=True) as discord:
        channel, role = discord.channel("general"), discord.role("engineer")
        platform = discord_platform(discord, member_role=role)
        async with bot_on(discord, rooms, platform=platform):
            ada = discord.person("Ada", roles={role})
            request = ada.say(channel, "round invoices half up")
            session_id = await session_of(rooms, discord, request)
            await rooms.start_turn(session_id)
            await rooms.ask_approval(session_id)
            asking = await discord.wait_for_post(request, "Round half up")
            watchers = [
                discord.person("Pending", pending=True, roles={role}),
                discord.person("Roleless"),
                discord.person("Deaf", takes_messages=False),
            ]
            for watcher in watchers:
                watcher.say(channel, "do something")
                watcher.react(asking, "✅")
                await watcher.press(asking, "✅ Approve")
                await discord.wait_for_aside(watcher, "full members here")
            outsider = discord.person("Outsider", member=False)
            outsider.say_directly("do something")
            await discord.wait_for_aside(outsider, "full members here")
            discord.person("Robot", bot=True, roles={role}).say(channel, "do something")
            ada.react(request, "🎷")
            ada.react(request, "🛑")
            await discord.wait_for_post(request, "Stopped by Ada")
            assert await rooms.sessions() == [session_id]
            refused = await discord.wait_for(
                lambda: [call for call in discord.calls_to(SEND) if call.status == 403]
            )
            assert len(refused) == 1, "whoever takes no direct messages is tried once"
            assert (await rooms.log.view(session_id)).approvals[0].by is None


async def test_a_report_is_sent_from_its_menu_or_by_the_bell(rooms: Rooms) -> None:
    async with DiscordEmulator(allow_unread=True, message_content=False) as discord:
        channel = discord.channel("bugs")
        async with bot_on(discord, rooms):
            ada, grace = discord.person("Ada"), discord.person("Grace")
            report = grace.say(channel, "checkout shows 0.1 too much", mention_bot=False)
            ada.react(report, "🛎️")
            await discord.wait_for_aside(ada, "no text in that message")
            await ada.use_on(report, "Send to Bellhop")
            session_id = await session_of(rooms, discord, report)
            await discord.wait_for_aside(ada, "I am on it")
            view = await rooms.log.view(session_id)
            assert view.prompts[0].prompt.text == "checkout shows 0.1 too much"
            assert view.requester.name == "Ada"
            assert [line.author for line in view.prompts[0].prompt.context] == ["Grace"]
            await ada.use_on(report, "Send to Bellhop")
            await discord.wait_for_aside(ada, "I am already on this one")
            told = ada.say(channel, "the same for refunds")
            ada.react(told, "🛎️")
            await discord.wait_for_post(told, FINDING)
            assert len(await rooms.sessions()) == 2


async def test_preferences_and_rules_of_a_channel(rooms: Rooms) -> None:
    async with DiscordEmulator(allow_unread=True) as discord:
        channel = discord.channel("billing")
        async with bot_on(discord, rooms):
            ada, guest = discord.person("Ada"), discord.person("Guest", pending=True)
            for words, answer in (
                ("", "Model: as usual, `model-one`"),
                ("help", "`/preferences verbosity quiet`"),
                ("model model-two", "`model-two`"),
                ("channel repository acme/web", "set by admins"),
                ("model gpt-9", "There is model-one and model-two."),
            ):
                await ada.command(channel, "preferences", **({"words": words} if words else {}))
                await discord.wait_for_aside(ada, answer)
            await guest.command(channel, "preferences", words="model model-two")
            await discord.wait_for_aside(guest, "full members here")
            person = await rooms.directory.resolve(
                Identity(platform="discord", workspace=discord.guild_id, account=ada.id, name="Ada")
            )
            assert (await rooms.customs.people.of(person.id)).model == "model-two"
            await rooms.directory.set_role(person.id, "admin")
            await ada.command(channel, "preferences", words="channel words outage")
            await discord.wait_for_aside(ada, "“outage” starts work")
            request = ada.say(channel, "an outage in invoices", mention_bot=False)
            view = await rooms.log.view(await session_of(rooms, discord, request))
            assert view.origin.channel_name == "billing"
            assert view.prompts[0].prompt.text == "an outage in invoices"
