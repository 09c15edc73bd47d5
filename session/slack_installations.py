"""Which Slack workspaces the app was installed in from the page: plain facts, never a token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from session.database import Database, Row, Transaction, when

_FACTS = ("team_name", "enterprise_id", "bot_user_id", "scopes", "installed_by", "installed_at")
_PUT = (
    f"INSERT INTO slack_installations (team_id, {', '.join(_FACTS)}) VALUES (?, ?, ?, ?, ?, ?, ?) "
    f"ON CONFLICT (team_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _FACTS)}"
)


@dataclass(frozen=True, slots=True)
class SlackInstallation:
    """The app in one workspace.

    enterprise_id: of the organisation that the workspace is in, None where it is in none. scopes: what the
    workspace granted, sorted. installed_by: id of the person who did it on the page. installed_at: UTC, by
    the database's clock; another time means another token.
    """

    team_id: str
    team_name: str
    enterprise_id: str | None
    bot_user_id: str
    scopes: tuple[str, ...]
    installed_by: str
    installed_at: datetime


class SlackInstallations:
    """The workspaces that the app is in. Everything raises DatabaseDown."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[SlackInstallation, ...]:
        """All of them, by `team_id`."""
        rows = await self._database.rows(f"SELECT team_id, {', '.join(_FACTS)} FROM slack_installations")
        return tuple(sorted(map(_installation, rows), key=lambda installation: installation.team_id))

    async def put(self, installation: SlackInstallation) -> None:
        """The app is in that workspace; what was known of an earlier installation there is replaced."""

        async def work(transaction: Transaction) -> None:
            await transaction.execute(
                _PUT,
                installation.team_id,
                installation.team_name,
                installation.enterprise_id,
                installation.bot_user_id,
                ",".join(installation.scopes),
                installation.installed_by,
                installation.installed_at,
            )

        await self._database.run(work)

    async def remove(self, team_id: str) -> bool:
        """The app is not in that workspace any more; whether it was on record there."""
        return await self._database.execute("DELETE FROM slack_installations WHERE team_id = ?", team_id) > 0


def _installation(row: Row) -> SlackInstallation:
    return SlackInstallation(
        team_id=row["team_id"],
        team_name=row["team_name"],
        enterprise_id=row["enterprise_id"],
        bot_user_id=row["bot_user_id"],
        scopes=tuple(scope for scope in str(row["scopes"]).split(",") if scope),
        installed_by=row["installed_by"],
        installed_at=when(row["installed_at"]),
    )
