"""What the broker does about Slack's workspaces, and typed calls for it.

A workspace's bot token goes from Slack to the broker, and from there to the bot alone.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict, Field

from session.broker import Broker, Nothing
from session.people import Declared
from session.slack_installations import SlackInstallation

TEAM_ID = r"^[A-Z0-9]{2,32}$"
MAX_CODE_CHARACTERS = 500
SLACK_AWAY = "slack_away"
"""The kind of a refusal that may pass: Slack does not answer."""


class Install(Declared):
    """What Slack's page sent back. `by` is the id of the admin who was there."""

    model_config = ConfigDict(hide_input_in_errors=True)

    code: str = Field(max_length=MAX_CODE_CHARACTERS, repr=False)
    redirect_uri: str
    by: str


class Installed(Declared):
    """The app in a workspace, as it travels; see `SlackInstallation`."""

    team_id: str
    team_name: str
    enterprise_id: str | None
    bot_user_id: str
    scopes: tuple[str, ...]
    installed_by: str
    installed_at: datetime


class OfTeam(Declared):
    """Which workspace is meant."""

    team_id: str = Field(pattern=TEAM_ID)


class Forget(OfTeam):
    """A workspace that the app has left, as far as it was installed up to `at` (None: in any case)."""

    at: datetime | None = None


class Remove(OfTeam):
    """A workspace that the app is to leave. `by` is the id of the admin who says so."""

    by: str


class Removed(Declared):
    """The workspace is off the record. `left`: what is left to do at Slack, in a sentence; empty: nothing."""

    left: str


class Token(Declared):
    """A workspace's bot token."""

    token: str = Field(repr=False)


class SlackTokens:
    """The app's tokens in workspaces, as the broker keeps them. Every call raises BrokerDown and
    BrokerRefused, whose message can be shown."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def install(self, code: str, redirect_uri: str, by: str) -> SlackInstallation:
        """The installation that Slack's code stands for, kept with its token. Raises: ValueError, for a code
        that cannot be one."""
        asked = Install(code=code, redirect_uri=redirect_uri, by=by)
        answer = await self._broker.call("slack.install", asked, Installed)
        return SlackInstallation(**dict(answer))

    async def token(self, team_id: str) -> str:
        """The workspace's bot token; for the bot alone."""
        return (await self._broker.call("slack.token", OfTeam(team_id=team_id), Token)).token

    async def remove(self, team_id: str, by: str) -> str:
        """The app is out of the workspace, which is off the record with its token gone. What is left to do at
        Slack, in a sentence, where Slack did not do its part; for admins alone."""
        return (await self._broker.call("slack.remove", Remove(team_id=team_id, by=by), Removed)).left

    async def forget(self, team_id: str, *, at: datetime | None = None) -> None:
        """The workspace is off the record, and its token gone; for the bot alone, once Slack says that the
        app has left. at: only what was installed up to then, so that news of an old installation's end does
        not end the one after it."""
        await self._broker.call("slack.forget", Forget(team_id=team_id, at=at), Nothing)
