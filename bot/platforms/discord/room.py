"""What there is once Discord has told us of our guild; made anew with every new session of the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import discord

from bot.platforms.discord.api import DiscordApi
from bot.platforms.discord.asides import DiscordAsides
from bot.platforms.discord.people import DiscordPeople
from bot.platforms.discord.places import DiscordPlaces
from bot.platforms.discord.reading import DiscordReader
from bot.platforms.protocol import PlatformError
from bot.reactions import ReactionTable

DiscordInteraction = discord.Interaction[discord.Client]


@dataclass(frozen=True, slots=True)
class Room:
    """The guild, and who knows their way in it."""

    client: discord.Client
    guild: discord.Guild
    api: DiscordApi
    people: DiscordPeople
    places: DiscordPlaces
    reader: DiscordReader
    asides: DiscordAsides

    @classmethod
    def open(
        cls,
        client: discord.Client,
        guild: discord.Guild,
        api: DiscordApi,
        member_role: int | None,
        reactions: ReactionTable,
    ) -> Self:
        """The room of that guild. Raises: PlatformError, before the client knows who we are."""
        if client.user is None:
            raise PlatformError("Discord has not told yet who we are")
        people = DiscordPeople(api, guild, member_role)
        places = DiscordPlaces(api, client, guild)
        reader = DiscordReader(api, client.user, guild, people, places, reactions)
        return cls(client, guild, api, people, places, reader, DiscordAsides(api, client))
