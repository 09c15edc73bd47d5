"""The broker's desk for Slack's workspaces: it takes their tokens from Slack, hands them to the bot, and has
the app taken away again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sandbox.broker.operations import Caller, Operation, Part
from sandbox.broker.slack_oauth import Granted, SlackAway, SlackOAuth, SlackRefused
from sandbox.broker.vault import Vault, VaultError
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

_NOT_AN_ADMIN = "Only admins may add Bellhop to a workspace, or take it away. Ask one of them."
_BY_HAND = (
    "if the app is still there, an admin of the workspace takes it away, under “Manage apps” → Bellhop → "
    "“Remove app”."
)


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
        """The desk's operations: tokens are for the bot alone, admins may end what they began."""
        return [
            Operation("slack.install", wire.Install, WEB, self.install),
            Operation("slack.token", wire.OfTeam, BOT, self.token),
            Operation("slack.remove", wire.Remove, WEB, self.remove),
            Operation("slack.forget", wire.Forget, BOT, self.forget),
        ]

    async def install(self, asked: wire.Install, caller: Caller) -> wire.Installed:
        """The workspace that the code stands for is on record, and its token sealed.

        Raises: SlackRefused, SlackAway.
        """
        await self._require_admin(asked.by)
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

    async def remove(self, asked: wire.Remove, caller: Caller) -> wire.Removed:
        """Slack was asked to take the app away, and whatever it said, record and token are gone.

        Raises: SlackRefused, for who is no admin.
        """
        await self._require_admin(asked.by)
        async with self._vault.lock(_name(asked.team_id)):
            await self._audited("slack.remove", asked.team_id, caller, asked.by)
            why = await self._uninstalled(asked.team_id)
            outcome: Outcome = "failed" if why else "done"
            await self._audited("slack.uninstall", asked.team_id, caller, asked.by, outcome, why)
            await self._gone(asked.team_id)
        return wire.Removed(left=f"{why.removesuffix('.')}: {_BY_HAND}" if why else "")

    async def forget(self, asked: wire.Forget, caller: Caller) -> Nothing:
        """Neither record nor token is there any more, as far as the installation is not a later one."""
        async with self._vault.lock(_name(asked.team_id)):
            if await self._is_there(asked.team_id, asked.at):
                await self._audited("slack.forget", asked.team_id, caller)
                await self._gone(asked.team_id)
        return Nothing()

    async def _uninstalled(self, team_id: str) -> str:
        """Why Slack has not taken the app away from there, in a sentence; empty when it has."""
        try:
            token = await self._vault.get(_name(team_id))
            if token is None:
                return "There was no token with which to take the app away."
            await self._oauth.uninstall(token)
        except VaultError:
            return "Its token could not be opened with the present SECRET_KEY."
        except (SlackRefused, SlackAway) as trouble:
            return str(trouble)
        return ""

    async def _gone(self, team_id: str) -> None:
        # The token first: a record without one is seen and can be removed again, the other is not.
        await self._vault.delete(_name(team_id))
        await self._installations.remove(team_id)

    async def _is_there(self, team_id: str, at: datetime | None) -> bool:
        """Whether there is anything of the workspace that was not installed after `at`."""
        known = {installation.team_id: installation for installation in await self._installations.all()}
        found = known.get(team_id)
        if found is None:
            return _name(team_id) in await self._vault.names()
        return at is None or found.installed_at <= at

    async def _require_admin(self, by: str) -> None:
        # Read here, not believed: whoever took over the web process could name anybody.
        if not reaches(await self._directory.role(by), "admin"):
            raise SlackRefused(_NOT_AN_ADMIN)

    async def _require_allowed(self, granted: Granted, by: str, caller: Caller) -> None:
        if self._teams and granted.team_id not in self._teams:
            await self._audited("slack.install", granted.team_id, caller, by, "refused")
            raise SlackRefused(
                f"{granted.team_name} ({granted.team_id}) is not among the workspaces of SLACK_TEAMS, so "
                "nothing of it is kept. Add its id there and restart the broker, or have the app removed "
                "from that workspace."
            )

    async def _audited(
        self,
        action: str,
        target: str,
        caller: Caller,
        by: str = "",
        outcome: Outcome = "allowed",
        why: str = "",
    ) -> None:
        actor = f"{caller.name} for {by}" if by else caller.name
        detail = {"why": why} if why else {}
        entry = AuditEntry(actor=actor, action=action, target=target, outcome=outcome, detail=detail)
        await self._audit.write(entry)


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
