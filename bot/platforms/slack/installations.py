"""In which workspaces the app is, and with which tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Installation:
    """The app in one workspace; another `installed_at` means another token.

    `team_id`: empty for the workspace of SLACK_BOT_TOKEN, which only Slack knows; `installed_at`: None then.
    """

    team_id: str
    installed_at: datetime | None = None


OWN = Installation("")
"""The one of SLACK_BOT_TOKEN."""


class Installations(Protocol):
    """Where it is looked up which workspaces are to be served."""

    @property
    def may_grow(self) -> bool:
        """Whether there may be others later than there are now."""

    async def wanted(self) -> Sequence[Installation]:
        """All that there are now. Raises: DatabaseDown."""

    async def token(self, installation: Installation) -> str:
        """The bot token. Raises: BrokerDown, BrokerRefused."""

    async def remove(self, team_id: str, at: datetime) -> bool:
        """Forgets what was installed there up to then, with its token; whether there was anything.

        Raises: DatabaseDown, BrokerDown, BrokerRefused.
        """


class OwnToken:
    """SLACK_BOT_TOKEN's workspace and no other."""

    may_grow = False

    def __init__(self, token: str) -> None:
        self._token = token

    async def wanted(self) -> Sequence[Installation]:
        """That one."""
        return (OWN,)

    async def token(self, installation: Installation) -> str:
        """The one there is."""
        return self._token

    async def remove(self, team_id: str, at: datetime) -> bool:
        """Nothing: a setting is changed by who made it."""
        return False
