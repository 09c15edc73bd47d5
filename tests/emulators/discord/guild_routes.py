"""REST: the bot itself, the guild with its members, and the commands registered in it.

Source: https://docs.discord.com/developers/resources/guild, .../interactions/application-commands
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.emulators.discord import shapes
from tests.emulators.discord.call import Call, Route
from tests.emulators.discord.refusals import (
    MISSING_ACCESS,
    UNKNOWN_GUILD,
    UNKNOWN_MEMBER,
    UNKNOWN_USER,
    Json,
    forbidden,
    invalid,
    unknown,
)

_COMMAND_NAME = re.compile(r"^[-_\w]{1,32}$")


def _me(call: Call) -> Json:
    return shapes.user(call.world.bot)


def _application(call: Call) -> Json:
    return shapes.application(call.world, call.flags, call.world.interactions_endpoint)


def _guild(call: Call) -> Json:
    if call.number(0) != call.world.guild_id or not call.world.bot.member:
        raise unknown(UNKNOWN_GUILD, "Guild")
    return shapes.guild(call.world)


def _guild_channels(call: Call) -> list[Json]:
    _guild(call)
    found = [
        channel for channel in call.world.channels.values() if channel.in_guild and not channel.is_thread
    ]
    return [shapes.channel(channel, call.world) for channel in found]


def _member(call: Call) -> Json:
    _guild(call)
    found = call.world.users.get(call.number(1))
    if found is None:
        raise unknown(UNKNOWN_USER, "User")
    if not found.member:
        raise unknown(UNKNOWN_MEMBER, "Member")
    return shapes.whole_member(found)


def _get_commands(call: Call) -> list[Json]:
    _guild_of_commands(call)
    return call.world.commands


def _put_commands(call: Call) -> list[Json]:
    _guild_of_commands(call)
    listed = call.body["list"]
    for index, command in enumerate(listed):
        _check_command(command, str(index))
    kept = {(c["name"], c["type"]): c["id"] for c in call.world.commands}
    call.world.commands = [
        {
            **command,
            "id": kept.get((command["name"], command.get("type", 1))) or str(call.world.new_id()),
            "type": command.get("type", 1),
            "description": command.get("description", ""),
            "application_id": str(call.world.application_id),
            "guild_id": str(call.world.guild_id),
            "version": "1",
            "default_member_permissions": command.get("default_member_permissions"),
        }
        for command in listed
    ]
    return call.world.commands


def _guild_of_commands(call: Call) -> None:
    right = call.number(0) == call.world.application_id and call.number(1) == call.world.guild_id
    if not right or not call.world.bot.member:
        raise forbidden(MISSING_ACCESS, "Missing Access")


def _check_command(command: Json, path: str) -> None:
    kind, name = command.get("type", 1), str(command.get("name", ""))
    if kind == 1 and (not _COMMAND_NAME.match(name) or name != name.lower()):
        raise invalid(f"{path}.name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    if not 1 <= len(name) <= 32:
        raise invalid(f"{path}.name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 32 in length.")
    if kind == 1 and not 1 <= len(command.get("description", "")) <= 100:
        raise invalid(f"{path}.description", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    if kind != 1 and command.get("description"):
        raise invalid(f"{path}.description", "APPLICATION_COMMAND_DESCRIPTION_NOT_ALLOWED", "Must be empty.")
    asked = True
    for option in command.get("options", []):
        where = f"{path}.options.{option.get('name')}"
        if not _COMMAND_NAME.match(str(option.get("name", ""))):
            raise invalid(where, "APPLICATION_COMMAND_INVALID_NAME", "Option name is invalid")
        if not 1 <= len(option.get("description", "")) <= 100:
            raise invalid(where, "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
        if option.get("required") and not asked:
            raise invalid(where, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", "required ones come first")
        asked = bool(option.get("required"))


ROUTES: Mapping[str, Route] = {
    "GET /users/@me": _me,
    "GET /oauth2/applications/@me": _application,
    "GET /guilds/{}": _guild,
    "GET /guilds/{}/channels": _guild_channels,
    "GET /guilds/{}/members/{}": _member,
    "GET /applications/{}/guilds/{}/commands": _get_commands,
    "PUT /applications/{}/guilds/{}/commands": _put_commands,
}
