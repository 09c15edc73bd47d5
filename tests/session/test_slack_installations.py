"""The workspaces that the Slack app is in, on both databases."""

from __future__ import annotations

from dataclasses import replace

from session.database import Database
from session.slack_installations import SlackInstallation, SlackInstallations


async def test_a_reinstall_replaces_and_removing_forgets_one(database: Database) -> None:
    installations = SlackInstallations(database)
    assert await installations.all() == ()
    home = SlackInstallation(
        team_id="T0HOME",
        team_name="Home & Söhne",
        enterprise_id=None,
        bot_user_id="U0BOT",
        scopes=("app_mentions:read", "chat:write"),
        installed_by="p_ada",
        installed_at=await database.clock(),
    )
    away = replace(home, team_id="T0AWAY", team_name="Away", enterprise_id="E0ORG", scopes=())
    await installations.put(home)
    await installations.put(away)
    assert await installations.all() == (away, home)

    again = replace(
        home,
        team_name="Home",
        enterprise_id="E0ORG",
        bot_user_id="U0NEW",
        scopes=("chat:write",),
        installed_by="p_grace",
        installed_at=await database.clock(),
    )
    await installations.put(again)
    assert await installations.all() == (away, again)

    assert await installations.remove("T0AWAY") is True
    assert await installations.remove("T0AWAY") is False
    assert await installations.all() == (again,)
