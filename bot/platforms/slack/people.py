"""Who and where: people, channels and emoji of a workspace, asked once and kept for a while."""

from __future__ import annotations

from dataclasses import dataclass

from bot.kept import Kept
from bot.platforms.protocol import PlatformError
from bot.platforms.slack.api import Json, SlackApi
from session.people import Identity


@dataclass(frozen=True, slots=True)
class Bot:
    """Our own account in a workspace."""

    user_id: str
    bot_id: str
    team_id: str


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel's name and topic; both empty for direct messages."""

    name: str
    topic: str
    is_direct: bool


class SlackPeople:
    """People and channels of the workspace that `bot` belongs to."""

    def __init__(self, api: SlackApi, bot: Bot) -> None:
        self._api = api
        self._bot = bot
        self._identities = Kept(self._identity)
        self._channels = Kept(self._channel)

    async def identity(self, user_id: str) -> Identity:
        """The account as the directory knows it. Raises: PlatformError."""
        return await self._identities.get(user_id)

    async def name(self, user_id: str) -> str:
        """The person's name, their id when Slack does not tell."""
        try:
            return (await self.identity(user_id)).name
        except PlatformError:
            return user_id

    async def channel(self, channel_id: str) -> Channel:
        """Name and topic of the channel; empty when Slack does not tell."""
        try:
            return await self._channels.get(channel_id)
        except PlatformError:
            return Channel("", "", is_direct=channel_id.startswith("D"))

    async def _identity(self, user_id: str) -> Identity:
        user: Json = (await self._api.call("users.info", user=user_id))["user"]
        profile: Json = user.get("profile") or {}
        name = profile.get("display_name") or user.get("real_name") or user.get("name") or user_id
        return Identity(
            platform="slack",
            workspace=self._bot.team_id,
            account=user_id,
            name=str(name),
            email=profile.get("email") or None,
            guest=self._is_guest(user),
        )

    def _is_guest(self, user: Json) -> bool:
        """Restricted accounts, people of other organisations, bots and the deleted: they may only watch."""
        if any(user.get(flag) for flag in ("is_restricted", "is_ultra_restricted", "is_stranger", "deleted")):
            return True
        teams = {user.get("team_id"), *(user.get("enterprise_user") or {}).get("teams", ())}
        return bool(user.get("is_bot")) or self._bot.team_id not in teams

    async def _channel(self, channel_id: str) -> Channel:
        channel: Json = (await self._api.call("conversations.info", channel=channel_id))["channel"]
        topic = (channel.get("topic") or {}).get("value", "")
        return Channel(str(channel.get("name") or ""), str(topic), bool(channel.get("is_im")))


async def find_bot(api: SlackApi) -> Bot:
    """Our own account. Raises: PlatformError."""
    answer = await api.call("auth.test")
    return Bot(str(answer["user_id"]), str(answer.get("bot_id", "")), str(answer["team_id"]))
