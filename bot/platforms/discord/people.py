"""Who somebody is: members of the guild may act, everybody else watches."""

from __future__ import annotations

import discord

from bot.kept import Kept
from bot.platforms.discord.api import UNKNOWN_MEMBER, UNKNOWN_USER, DiscordApi, code_of
from bot.platforms.protocol import Rejected
from session.people import Identity

PLATFORM = "discord"


class DiscordPeople:
    """People of one guild. `member_role`: id of the role that those who may act have; None: all members."""

    def __init__(self, api: DiscordApi, guild: discord.Guild, member_role: int | None) -> None:
        self._api = api
        self._guild = guild
        self._member_role = member_role
        self._identities = Kept(self._ask)

    async def identity(self, account: discord.User | discord.Member) -> Identity:
        """The account as the directory knows it. Raises: PlatformError, where Discord has to be asked."""
        if isinstance(account, discord.Member) and account.guild.id == self._guild.id:
            return self._identity(account)
        if account.bot:
            return self._stranger(account)
        known = await self._identities.get(str(account.id))
        return known if known.name else known.model_copy(update={"name": account.display_name})

    async def by_id(self, account_id: int) -> Identity:
        """The same for somebody of whom only the id is known. Raises: PlatformError."""
        return await self._identities.get(str(account_id))

    async def _ask(self, account_id: str) -> Identity:
        try:
            member = await self._api.call(
                "look up a member", account_id, lambda: self._guild.fetch_member(int(account_id))
            )
        except Rejected as error:
            if code_of(error) in (UNKNOWN_MEMBER, UNKNOWN_USER):
                return Identity(
                    platform=PLATFORM, workspace=str(self._guild.id), account=account_id, name="", guest=True
                )
            raise
        return self._identity(member)

    def _identity(self, member: discord.Member) -> Identity:
        return Identity(
            platform=PLATFORM,
            workspace=str(self._guild.id),
            account=str(member.id),
            name=member.display_name,
            guest=self._is_guest(member),
        )

    def _stranger(self, account: discord.User | discord.Member) -> Identity:
        return Identity(
            platform=PLATFORM,
            workspace=str(self._guild.id),
            account=str(account.id),
            name=account.display_name,
            guest=True,
        )

    def _is_guest(self, member: discord.Member) -> bool:
        """Bots, those who have not passed the guild's screening, guests of a voice channel, those put to
        silence for a while, and, where a role is asked for, those without it."""
        if member.bot or member.pending or member.flags.guest or member.is_timed_out():
            return True
        return self._member_role is not None and member.get_role(self._member_role) is None
