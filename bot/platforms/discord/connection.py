"""Connecting, as often as it takes, with what the gateway grants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import discord
import structlog

from bot.platforms.discord.api import DiscordApi
from bot.platforms.discord.circuit import TOKEN_REFUSED
from bot.platforms.discord.client import GatewayClient
from bot.platforms.discord.needs import grants_content
from bot.platforms.protocol import Busy, PlatformError, Unreachable

LONGEST_WAIT_SECONDS = 30.0

_AUTHENTICATION_FAILED = 4004

_log = structlog.get_logger(__name__)

NewClient = Callable[[bool], GatewayClient]
"""Makes a client for one try; the argument: whether it asks for message content."""


async def stay_connected(api: DiscordApi, token: str, new_client: NewClient) -> None:
    """Until cancelled. Message content is asked for where the application's flags, and the gateway, allow it.

    Raises: PlatformError, when Discord does not take the token.
    """
    content, tries = True, 0
    while True:
        client = new_client(content)
        try:
            async with client:
                await _log_in(api, client, token)
                tries = 0
                if content and not grants_content(client.application_flags):
                    _log.info("discord.without_message_content")
                    content = False
                else:
                    await _stay(api, client)
        except discord.PrivilegedIntentsRequired:
            _log.warning("discord.without_message_content", detail="the gateway refuses it")
            content = False
        except (Busy, Unreachable) as error:
            wait = min(0.5 * 2.0**tries, LONGEST_WAIT_SECONDS)
            wait = error.retry_after_seconds if isinstance(error, Busy) else wait
            _log.warning("discord.unreachable", detail=str(error), seconds=wait)
            tries += 1
            await asyncio.sleep(wait)


async def _log_in(api: DiscordApi, client: GatewayClient, token: str) -> None:
    try:
        await api.call("log in", "with the bot's token", lambda: client.login(token))
    except discord.LoginFailure as error:
        api.circuit.refused("log in", 401)
        raise PlatformError(TOKEN_REFUSED) from error


async def _stay(api: DiscordApi, client: GatewayClient) -> None:
    """Until the connection ends for good, which the library keeps up as long as that makes sense."""
    connected = asyncio.create_task(client.connect())
    broken = asyncio.create_task(api.circuit.broken.wait())
    try:
        await asyncio.wait({connected, broken}, return_when=asyncio.FIRST_COMPLETED)
        if api.circuit.broken.is_set():
            raise PlatformError(TOKEN_REFUSED)
        await connected
    except discord.ConnectionClosed as closed:
        if closed.code == _AUTHENTICATION_FAILED:
            api.circuit.refused("connect", 401)
            raise PlatformError(TOKEN_REFUSED) from closed
        raise Unreachable(f"the gateway ended the connection with {closed.code}") from closed
    finally:
        for task in (connected, broken):
            task.cancel()
        await asyncio.gather(connected, broken, return_exceptions=True)
