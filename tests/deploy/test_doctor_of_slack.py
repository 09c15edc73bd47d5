"""`bellhop doctor` tries the token of each workspace that the Slack app was added to."""

from __future__ import annotations

from dataclasses import replace

from deploy.doctor_of_slack import SLACK_CHECKS
from sandbox.broker.operations import application
from sandbox.broker.slack_desk import SLACK_KINDS, SlackDesk
from sandbox.broker.slack_oauth import SlackOAuth
from sandbox.broker.socket_server import serving
from sandbox.broker.vault import KeyRing, Vault
from session.audit import Audit
from session.database import Database
from session.directory import Directory
from session.secret_rows import SecretRows
from session.settings import Settings
from session.slack_installations import SlackInstallation, SlackInstallations
from tests.emulators.slack.emulator import SlackEmulator


async def test_each_workspace_is_tried_with_its_own_token(whole: dict[str, str]) -> None:
    async with SlackEmulator() as slack:
        client = {"SLACK_CLIENT_ID": slack.oauth.client_id, "SLACK_CLIENT_SECRET": slack.oauth.client_secret}
        known = {**whole, **client, "SLACK_API_URL": slack.api_url}
        settings = Settings.load(known)

        async def said(ok: bool | None, *words: str, part: str = "slack workspaces", **changes: str) -> None:
            found = await SLACK_CHECKS[part](Settings.load({**known, **changes}))
            assert (found.part, found.ok) == (part, ok), found
            told = "\n".join((found.sentence, *found.details))
            assert [word for word in words if word not in told] == []
            assert slack.bot_token not in told

        await said(False, "needs SLACK_APP_TOKEN", part="slack")
        await said(None, "the workspaces that the app was", part="slack", SLACK_APP_TOKEN=slack.app_token)
        await said(False, "belong together", SLACK_CLIENT_SECRET="")
        await said(None, "tables are not there")
        async with await Database.open(settings.database_address) as database:
            await database.migrate()
            await said(None, "none yet", "/admin/slack")
            await said(None, "SLACK_CLIENT_ID is empty", SLACK_CLIENT_ID="", SLACK_CLIENT_SECRET="")

            rows, vault = SlackInstallations(database), Vault(SecretRows(database), KeyRing(["k" * 40]))
            for team_id, token in (("T0AWAY", "xoxb-of-nobody"), ("T0HOME", slack.bot_token)):
                now = await database.clock()
                await rows.put(SlackInstallation(team_id, team_id.lower(), None, "U0BOT", (), "p_ada", now))
                await vault.put(f"slack:{team_id}", token)
            await said(None, "2 workspaces", "t0home (T0HOME)", "broker does not answer", "the bot's log")

            oauth = SlackOAuth(slack.api_url, "", "")
            desk = SlackDesk(oauth, (), vault, database, Directory(database), Audit(database))
            app = application(desk.operations(), SLACK_KINDS)
            async with serving(app, settings.broker_address, {}):
                await said(False, "t0home (T0HOME): answers as", "invalid_auth", "add the app to it again")
                await rows.remove("T0AWAY")
                await said(True, "1 workspace, and Slack takes the tokens")
                away = "http://127.0.0.1:1/api/"
                await said(False, "t0home (T0HOME): ", "does not answer", SLACK_API_URL=away)
                await vault.delete("slack:T0HOME")
                await said(False, "not installed in workspace T0HOME")
            nobodys = [replace(operation, parts=frozenset()) for operation in desk.operations()]
            async with serving(application(nobodys, SLACK_KINDS), settings.broker_address, {}):
                await said(None, "the broker gives it to the bot alone", "the bot's log")
        assert slack.take_violations() == ["auth.test: invalid_auth"]


async def test_scopes_that_a_workspace_has_not_granted_are_named(whole: dict[str, str]) -> None:
    async with SlackEmulator(bot_scopes={"chat:write"}) as slack:
        settings = Settings.load({**whole, "SLACK_API_URL": slack.api_url})
        async with await Database.open(settings.database_address) as database:
            await database.migrate()
            vault = Vault(SecretRows(database), KeyRing(["k" * 40]))
            now = await database.clock()
            home = SlackInstallation("T0HOME", "Home", None, "U0BOT", ("chat:write",), "p_ada", now)
            await SlackInstallations(database).put(home)
            await vault.put("slack:T0HOME", slack.bot_token)
            oauth = SlackOAuth(slack.api_url, "", "")
            desk = SlackDesk(oauth, (), vault, database, Directory(database), Audit(database))
            app = application(desk.operations(), SLACK_KINDS)
            async with serving(app, settings.broker_address, {}):
                found = await SLACK_CHECKS["slack workspaces"](settings)
        assert found.ok is False
        assert "lacks the scopes app_mentions:read, " in found.details[0]
        assert "again at" in found.details[0]
