"""A bot on the emulated Discord."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bot.messages import Choice
from bot.platforms.discord.circuit import Circuit
from bot.platforms.discord.platform import DiscordAccount, DiscordPlatform
from tests.bot.rooms import CHOICES, Rooms
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.world import Message

FINDING = "Finding the repository"
SEND = "POST /channels/{}/messages"


def discord_platform(
    discord: DiscordEmulator,
    *,
    token: str = "",
    repositories: Sequence[Choice] = CHOICES,
    member_role: int | None = None,
    circuit: Circuit | None = None,
) -> DiscordPlatform:
    """The platform as the emulated guild knows it; new sessions of the gateway are not paced."""
    account = DiscordAccount(
        bot_token=token or discord.token,
        guild_id=int(discord.guild_id),
        member_role=member_role,
        api_url=discord.api_url,
        gateway_url=discord.gateway_url,
    )
    return DiscordPlatform(account, repositories, circuit=circuit, identify_seconds=0.0)


@asynccontextmanager
async def bot_on(
    discord: DiscordEmulator,
    rooms: Rooms,
    *,
    platform: DiscordPlatform | None = None,
    interval_seconds: float = 0.0,
) -> AsyncIterator[DiscordPlatform]:
    """The bot, connected and taking events, until the block ends."""
    platform = platform or discord_platform(discord)
    async with rooms.serving(platform, interval_seconds=interval_seconds):
        await asyncio.wait_for(platform.ready(), 60)
        yield platform


async def session_of(rooms: Rooms, discord: DiscordEmulator, request: Message) -> str:
    """The id of the one session, once its card stands."""
    await discord.wait_for_post(request, FINDING)
    return await rooms.only_session()


async def seen(discord: DiscordEmulator, message: Message) -> None:
    """Return once the bot has put its mark under a message."""
    await discord.wait_for(lambda: discord.marks(message) == {"👀"})


def sent(discord: DiscordEmulator) -> int:
    """How many messages the bot has sent."""
    return sum(call.status == 200 for call in discord.calls_to(SEND))
