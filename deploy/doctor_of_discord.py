"""What `bellhop doctor` finds out about Discord; docs/set-up-discord.md has a line for each finding."""

from __future__ import annotations

import discord
from discord.app_commands import CommandTree

from bot.platforms.discord.api import DiscordApi, code_of
from bot.platforms.discord.circuit import Circuit
from bot.platforms.discord.client import use_addresses
from bot.platforms.discord.commands import NAMES
from bot.platforms.discord.needs import grants_content, invitation, missing
from bot.platforms.protocol import PlatformError, Unreachable
from deploy.finding import Finding
from session.settings import Settings

_PART = "discord"
_NOT_SET_UP = (
    "not set up (DISCORD_BOT_TOKEN is empty), so nobody can call Bellhop from Discord. "
    "docs/set-up-discord.md says how to get a token"
)
_BAD_TOKEN = (
    "refuses the token. Choose 'Reset Token' on the app's Bot page, and put the new one into "
    "DISCORD_BOT_TOKEN. A bot that was refused asks nothing more until it is started again"
)
_ENDPOINT = (
    "sends what people press to an address instead of the gateway. Empty 'Interactions Endpoint URL' on the "
    "app's General Information page"
)
_WITHOUT_CONTENT = (
    "without the message content intent: in threads it reads only what mentions it. Switch on 'Message "
    "Content Intent' on the app's Bot page and start the bot again to have plain follow-ups read"
)


async def discord_finding(settings: Settings) -> Finding:
    """Token, guild, permissions, role, commands and intents, in this order: the first that is wrong."""
    if not settings.discord_bot_token or settings.discord_guild is None:
        return Finding(_PART, None, _NOT_SET_UP)
    use_addresses(settings.discord_api_url, settings.discord_gateway_url)
    api = DiscordApi(Circuit())
    async with discord.Client(intents=discord.Intents.none()) as client:
        try:
            await api.call("log in", "doctor", lambda: client.login(settings.discord_bot_token))
        except discord.LoginFailure:
            return Finding(_PART, False, _BAD_TOKEN)
        except Unreachable as error:
            wrong = f"{settings.discord_api_url} does not answer: {error}"
            return Finding(_PART, False, f"{wrong}. See whether it can be reached from here")
        application = client.application
        if application is not None and application.interactions_endpoint_url:
            return Finding(_PART, False, _ENDPOINT)
        return await _in_guild(settings, settings.discord_guild, api, client)


async def _in_guild(settings: Settings, guild_id: int, api: DiscordApi, client: discord.Client) -> Finding:
    assert client.user is not None
    own_id = client.user.id
    page = invitation(client.application_id or own_id, guild_id)
    try:
        guild = await api.call("look at the guild", guild_id, lambda: client.fetch_guild(guild_id))
        member = await api.call("look at ourselves", guild_id, lambda: guild.fetch_member(own_id))
    except PlatformError as error:
        if not code_of(error):
            return Finding(_PART, False, f"does not tell of the server: {error}. Ask again in a while")
        sentence = f"has not let the bot into server {guild_id}. Check DISCORD_GUILD, and open {page}"
        return Finding(_PART, False, sentence)
    lacking = missing(member.guild_permissions)
    if lacking:
        names = ", ".join(lacking)
        return Finding(_PART, False, f"the bot's role lacks {names}. Grant them, or open {page} again")
    role = settings.discord_member_role
    if role is not None and guild.get_role(role) is None:
        sentence = f"{guild.name} has no role {role}, so nobody could act. Check DISCORD_MEMBER_ROLE"
        return Finding(_PART, False, sentence)
    return await _with_commands(api, client, guild, page)


async def _with_commands(api: DiscordApi, client: discord.Client, guild: discord.Guild, page: str) -> Finding:
    try:
        known = await api.call(
            "read the commands", guild.id, lambda: CommandTree(client).fetch_commands(guild=guild)
        )
    except PlatformError:
        wrong = f"does not let the bot have commands in {guild.name}"
        return Finding(_PART, False, f"{wrong}. Open {page} again, which asks for that")
    sentence = f"answers as {client.user} in {guild.name}"
    if not {command.name for command in known} >= NAMES:
        sentence += "; its commands are registered when the bot starts"
    if not grants_content(client.application_flags):
        sentence += f"; {_WITHOUT_CONTENT}"
    return Finding(_PART, True, sentence)
