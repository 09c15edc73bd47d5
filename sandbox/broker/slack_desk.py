"""The broker's desk for Slack's workspaces: it takes their tokens from Slack, and hands them to the bot."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sandbox.broker.operations import Caller, Operation, Part
from sandbox.broker.slack_oauth import Granted, SlackAway, SlackOAuth, SlackRefused
from sandbox.broker.vault import Vault
from session import broker_slack as wire
from session.access import reaches
from session.audit import Audit, AuditEntry, Outcome
from session.broker import Nothing
from session.broker_slack import SLACK_AWAY
from session.database import Database
from session.directory import Directory
from session.slack_installations import SlackInstallation, SlackInstallations

WEB: frozenset[Part] = frozenset({"web"})
BOT: frozenset[Part] = frozenset({"bot"})

_NOT_AN_ADMIN = "Only admins may add Bellhop to a workspace. Ask one of them."


class NotInstalled(Exception):
    """The app is not in that workspace; the message says what to do."""


SLACK_KINDS: Mapping[type[Exception], str] = {
    SlackRefused: "slack_refused",
    SlackAway: SLACK_AWAY,
    NotInstalled: "slack_not_installed",
}
"""How the desk's errors are named on their way."""


class SlackDesk:
    """Installs the app in workspaces. teams: ids of those it may be installed in, empty for any."""

    def __init__(
        self,
        oauth: SlackOAuth,
        teams: Collection[str],
        vault: Vault,
        database: Database,
        directory: Directory,
        audit: Audit,
    ) -> None:
        self._oauth = oauth
        self._teams = frozenset(teams)
        self._vault = vault
        self._database = database
        self._installations = SlackInstallations(database)
        self._directory = directory
        self._audit = audit

    def operations(self) -> list[Operation[Any, Any]]:
        """The desk's operations: tokens are for the bot alone, and admins as well as Slack may end them."""
        return [
            Operation("slack.install", wire.Install, WEB, self.install),
            Operation("slack.token", wire.OfTeam, BOT, self.token),
            Operation("slack.forget", wire.Forget, WEB | BOT, self.forget),
        ]

    async def install(self, asked: wire.Install, caller: Caller) -> wire.Installed:
        """The workspace that the code stands for is on record, and its token sealed.

        Raises: SlackRefused, SlackAway.
        """
        # Read here, not believed: whoever took over the web process could name anybody.
        if not reaches(await self._directory.role(asked.by), "admin"):
            raise SlackRefused(_NOT_AN_ADMIN)
        granted = await self._oauth.exchange(asked.code, asked.redirect_uri)
        await self._require_allowed(granted, asked.by, caller)
        await self._audited("slack.install", granted.team_id, caller, asked.by)
        async with self._vault.lock(_name(granted.team_id)):
            await self._vault.put(_name(granted.team_id), granted.token)
            installation = _installation(granted, asked.by, await self._database.clock())
            await self._installations.put(installation)
        return wire.Installed(**asdict(installation))

    async def token(self, asked: wire.OfTeam, caller: Caller) -> wire.Token:
        """The workspace's token. Raises: NotInstalled."""
        token = await self._vault.get(_name(asked.team_id))
        if token is None:
            raise NotInstalled(f"The app is not installed in workspace {asked.team_id}. An admin can add it.")
        await self._audited("slack.token", asked.team_id, caller)
        return wire.Token(token=token)

    async def forget(self, asked: wire.Forget, caller: Caller) -> Nothing:
        """Neither record nor token is there any more, as far as the installation is not a later one."""
        async with self._vault.lock(_name(asked.team_id)):
            if await self._later(asked):
                return Nothing()
            await self._audited("slack.forget", asked.team_id, caller, asked.by)
            # The token first: a record without one is seen and can be removed again, the other is not.
            await self._vault.delete(_name(asked.team_id))
            await self._installations.remove(asked.team_id)
        return Nothing()

    async def _later(self, asked: wire.Forget) -> bool:
        """Whether the app was installed anew after what is to be forgotten."""
        known = {installation.team_id: installation for installation in await self._installations.all()}
        found = known.get(asked.team_id)
        return asked.at is not None and found is not None and found.installed_at > asked.at

    async def _require_allowed(self, granted: Granted, by: str, caller: Caller) -> None:
        if self._teams and granted.team_id not in self._teams:
            await self._audited("slack.install", granted.team_id, caller, by, "refused")
            raise SlackRefused(
                f"{granted.team_name} ({granted.team_id}) is not among the workspaces of SLACK_TEAMS, so "
                "nothing of it is kept. Add its id there and restart the broker, or have the app removed "
                "from that workspace."
            )

    async def _audited(
        self, action: str, target: str, caller: Caller, by: str = "", outcome: Outcome = "allowed"
    ) -> None:
        actor = f"{caller.name} for {by}" if by else caller.name
        await self._audit.write(AuditEntry(actor=actor, action=action, target=target, outcome=outcome))


def _installation(granted: Granted, by: str, at: datetime) -> SlackInstallation:
    return SlackInstallation(
        team_id=granted.team_id,
        team_name=granted.team_name,
        enterprise_id=granted.enterprise_id,
        bot_user_id=granted.bot_user_id,
        scopes=granted.scopes,
        installed_by=by,
        installed_at=at,
    )


def _name(team_id: str) -> str:
    return f"slack:{team_id}"
