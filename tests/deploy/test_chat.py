"""Slack and Discord side by side in one process, where neither takes the other down."""

from __future__ import annotations

import asyncio

import pytest

from bot.platforms.protocol import PlatformError
from deploy import wiring
from session.settings import Settings, SettingsError
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.faults import Denied
from tests.emulators.slack.emulator import SlackEmulator

FINDING = "Finding the repository"


async def test_one_platform_that_ends_leaves_the_other_at_work(whole: dict[str, str], redis_url: str) -> None:
    async with SlackEmulator(allow_unread=True) as slack, DiscordEmulator(allow_unread=True) as discord:
        room, channel = slack.channel("billing"), discord.channel("billing")
        settings = Settings.load(
            {
                **whole,
                "REDIS_URL": redis_url,
                "SECRET_KEY": "a key that is long enough for a test of both platforms",
                "SLACK_BOT_TOKEN": slack.bot_token,
                "SLACK_APP_TOKEN": slack.app_token,
                "SLACK_API_URL": slack.api_url,
                "DISCORD_BOT_TOKEN": discord.token,
                "DISCORD_GUILD": discord.guild_id,
                "DISCORD_API_URL": discord.api_url,
                "DISCORD_GATEWAY_URL": discord.gateway_url,
            }
        )
        bot = asyncio.create_task(wiring.bot(settings))
        try:
            await slack.wait_for_connection()
            await discord.wait_for_connection()
            on_slack = await slack.person("Ada").say(room, "round invoices half up")
            on_discord = discord.person("Ada").say(channel, "round invoices half up")
            await slack.wait_for_post(on_slack, FINDING)
            card = await discord.wait_for_post(on_discord, FINDING)
            assert f"{settings.page_address}/s/" in str(card.components)
            discord.fail_next("PUT /channels/{}/messages/{}/reactions/{}/@me", Denied(401))
            discord.person("Grace").say(channel, "and the credit notes")
            await discord.wait_for(lambda: not discord.gateway.live)
            later = await slack.person("Grace").say(room, "and the credit notes")
            await slack.wait_for_post(later, FINDING)
            assert not bot.done()
        finally:
            bot.cancel()
            await asyncio.gather(bot, return_exceptions=True)


async def test_with_no_platform_left_the_process_ends(whole: dict[str, str], redis_url: str) -> None:
    async with DiscordEmulator() as discord:
        known = {
            **whole,
            "REDIS_URL": redis_url,
            "SECRET_KEY": "a key that is long enough for a test of both platforms",
        }
        with pytest.raises(SettingsError, match=r"docs/set-up-discord\.md"):
            await wiring.bot(Settings.load(known))
        addresses = {"DISCORD_API_URL": discord.api_url, "DISCORD_GATEWAY_URL": discord.gateway_url}
        wrong = {"DISCORD_BOT_TOKEN": "of-nobody", "DISCORD_GUILD": discord.guild_id}
        with pytest.raises(ExceptionGroup) as ended:
            await wiring.bot(Settings.load({**known, **addresses, **wrong}))
        assert ended.group_contains(PlatformError, match="check DISCORD_BOT_TOKEN")
        assert len(discord.take_violations()) == 1
