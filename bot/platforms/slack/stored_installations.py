"""The installations that people made by Slack's own page, as they are on record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.platforms.slack.installations import OWN, Installation
from session.broker_slack import SlackTokens
from session.slack_installations import SlackInstallations


class StoredInstallations:
    """The installations on record, whose tokens the broker keeps, and SLACK_BOT_TOKEN's where that is set."""

    may_grow = True

    def __init__(self, rows: SlackInstallations, tokens: SlackTokens, own_token: str = "") -> None:
        self._rows = rows
        self._tokens = tokens
        self._own_token = own_token

    async def wanted(self) -> Sequence[Installation]:
        """See `Installations.wanted`."""
        stored = [Installation(row.team_id, row.installed_at) for row in await self._rows.all()]
        return [OWN, *stored] if self._own_token else stored

    async def token(self, installation: Installation) -> str:
        """See `Installations.token`."""
        return self._own_token if installation == OWN else await self._tokens.token(installation.team_id)

    async def remove(self, team_id: str, at: datetime) -> bool:
        """See `Installations.remove`. Word that comes late does not take away what was installed since."""
        row = next((row for row in await self._rows.all() if row.team_id == team_id), None)
        if row is None or row.installed_at > at:
            return False
        await self._tokens.forget(team_id, at=at)
        return True
