"""Settings of Discord, and what settings are made of."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings


def setting(default: Any, description: str, example: str, *, secret: bool = False, **limits: Any) -> Any:
    """A field of Settings. A secret's value is never printed."""
    return Field(default, description=description, examples=[example], repr=not secret, **limits)


def address_of(value: str, schemes: tuple[str, ...]) -> str:
    """The address as it is. Raises: ValueError, where it begins otherwise."""
    if value and urlsplit(value).scheme not in schemes:
        raise ValueError(f"must be an address that begins with {' or '.join(s + '://' for s in schemes)}")
    return value


class DiscordSettings(BaseSettings):
    """How Bellhop is known to one Discord server."""

    discord_bot_token: str = setting("", "token of the Discord app's bot", "MTA5…", secret=True)
    discord_guild: int | None = setting(
        None, "id of the Discord server that the bot works in", "112233445566778899", ge=1
    )
    discord_member_role: int | None = setting(
        None,
        "id of the Discord role of those who may start, approve and stop; empty means every member",
        "998877665544332211",
        ge=1,
    )
    discord_api_url: str = setting(
        "https://discord.com/api/v10", "address of Discord's REST API", "https://discord.com/api/v10"
    )
    discord_gateway_url: str = setting(
        "wss://gateway.discord.gg/", "address of Discord's gateway", "wss://gateway.discord.gg/"
    )

    @field_validator("discord_api_url")
    @classmethod
    def _rest_address(cls, value: str) -> str:
        return address_of(value, ("http", "https"))

    @field_validator("discord_gateway_url")
    @classmethod
    def _socket_address(cls, value: str) -> str:
        return address_of(value, ("ws", "wss"))
