"""Which workspaces a delivery is for. One app, with one signing secret, may be installed in several.

Source: https://docs.slack.dev/apis/events-api#authorizations and the reference of interaction payloads.
"""

from __future__ import annotations

from bot.platforms.slack.api import Json


def workspaces_named(body: Json) -> frozenset[str]:
    """Ids of the workspaces and organisations that the delivery names as its receivers.

    In a channel that workspaces share, Slack may name one of several under `authorizations` and another as
    the place of the event, so all count. Where the author comes from (`user_team`, `source_team`, the user's
    `team_id`) does not.
    """
    team = body.get("team") or {}
    view = body.get("view") or {}
    named = {
        body.get("team_id"),
        body.get("context_team_id"),
        body.get("context_enterprise_id"),
        team.get("id"),
        view.get("app_installed_team_id"),
        (body.get("enterprise") or {}).get("id"),
    }
    for authorization in body.get("authorizations") or ():
        named |= {authorization.get("team_id"), authorization.get("enterprise_id")}
    return frozenset(str(name) for name in named if name)
