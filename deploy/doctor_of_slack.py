"""What `bellhop doctor` finds out about Slack; docs/set-up-slack.md has a line for each finding."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.platforms.slack.needs import scopes
from deploy.finding import Check, Finding
from session.broker import Broker, BrokerDown, BrokerRefused
from session.broker_slack import SlackTokens
from session.database import Database, DatabaseDown
from session.settings import Settings
from session.slack_installations import SlackInstallation, SlackInstallations

_ASK_SECONDS = 8
_WORKSPACES = "slack workspaces"

_NO_SLACK = (
    "not set up (SLACK_BOT_TOKEN is empty), so nobody can call Bellhop from Slack. docs/set-up-slack.md says "
    "how to get a token"
)
_NO_DOOR = "needs SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (events over HTTP)"
_REINSTALL = (
    "Paste deploy/slack_manifest.yaml under 'App Manifest' at https://api.slack.com/apps, then choose "
    "'Install App' and 'Reinstall to Workspace'"
)
_ONLY_OWN = (
    "not set up (SLACK_CLIENT_ID is empty): the workspace of SLACK_BOT_TOKEN is the only one. "
    "docs/set-up-slack.md says how to serve several"
)
_HALF = (
    "SLACK_CLIENT_ID and SLACK_CLIENT_SECRET belong together, and one of them is empty. Copy both from "
    "'Basic Information' → 'App Credentials'"
)
_NOT_ASKED = "its token was not asked for: "


@dataclass(frozen=True, slots=True)
class _Heard:
    """What was found out about one workspace. `ok` None: its token could not be tried."""

    ok: bool | None
    line: str


async def _own(settings: Settings) -> Finding:
    """Whether Slack takes SLACK_BOT_TOKEN."""
    if not settings.slack_bot_token:
        if not settings.slack_client_id:
            return Finding("slack", None, _NO_SLACK)
        if _without_door(settings):
            return Finding("slack", False, _NO_DOOR)
        sentence = "SLACK_BOT_TOKEN is empty: only the workspaces that the app was added to are served"
        return Finding("slack", None, sentence)
    client = AsyncWebClient(settings.slack_bot_token, base_url=settings.slack_api_url, timeout=_ASK_SECONDS)
    try:
        answer = await client.auth_test()
    except SlackApiError as error:
        return Finding("slack", False, f"refuses the token: {error.response['error']}. Check SLACK_BOT_TOKEN")
    except OSError as error:
        wrong = f"{settings.slack_api_url} does not answer: {error}"
        return Finding("slack", False, f"{wrong}. See whether it can be reached from here")
    if missing := _missing_scopes(answer.headers):
        return Finding("slack", False, f"the token lacks the scopes {', '.join(missing)}. {_REINSTALL}")
    if _without_door(settings):
        return Finding("slack", False, _NO_DOOR)
    return Finding("slack", True, f"answers as {answer['user']} in {answer['team']}")


async def _workspaces(settings: Settings) -> Finding:
    """Whether Slack takes the token of each workspace that the app was added to."""
    if bool(settings.slack_client_id) != bool(settings.slack_client_secret):
        return Finding(_WORKSPACES, False, _HALF)
    try:
        async with await Database.open(settings.database_address) as database:
            if not await database.migrated():
                return Finding(_WORKSPACES, None, "not looked at: the tables are not there yet")
            known = await SlackInstallations(database).all()
    except DatabaseDown:
        return Finding(_WORKSPACES, None, "not looked at: the database does not answer. Mend that first")
    if not known:
        none = f"none yet: an admin adds the app at {settings.page_address}/admin/slack"
        return Finding(_WORKSPACES, None, none if settings.slack_client_id else _ONLY_OWN)
    async with Broker(settings.broker_address) as broker:
        tokens = SlackTokens(broker)
        heard = await asyncio.gather(*(_heard(settings, tokens, installation) for installation in known))
    return Finding(_WORKSPACES, *_verdict(heard), tuple(each.line for each in heard))


def _verdict(heard: Sequence[_Heard]) -> tuple[bool | None, str]:
    count = f"{len(heard)} {'workspace' if len(heard) == 1 else 'workspaces'}"
    if any(each.ok is False for each in heard):
        return False, f"{count}, and not all can be served"
    if any(each.ok is None for each in heard):
        return None, f"{count}; whether Slack takes their tokens, the bot's log says (`slack.workspace_…`)"
    return True, f"{count}, and Slack takes the tokens"


async def _heard(settings: Settings, tokens: SlackTokens, installation: SlackInstallation) -> _Heard:
    name = f"{installation.team_name} ({installation.team_id})"
    try:
        token = await tokens.token(installation.team_id)
    except BrokerDown:
        return _Heard(None, f"{name}: {_NOT_ASKED}the broker does not answer")
    except BrokerRefused as refused:
        if refused.kind == "not_yours":
            return _Heard(None, f"{name}: {_NOT_ASKED}the broker gives it to the bot alone")
        return _Heard(False, f"{name}: {refused}")
    again = f"add the app to it again at {settings.page_address}/admin/slack"
    client = AsyncWebClient(token, base_url=settings.slack_api_url, timeout=_ASK_SECONDS)
    try:
        answer = await client.auth_test()
    except SlackApiError as error:
        return _Heard(False, f"{name}: Slack refuses the token ({error.response['error']}); {again}")
    except OSError as error:
        return _Heard(False, f"{name}: {settings.slack_api_url} does not answer: {error}")
    if missing := _missing_scopes(answer.headers):
        return _Heard(False, f"{name}: the token lacks the scopes {', '.join(missing)}; {again}")
    return _Heard(True, f"{name}: answers as {answer['user']}")


def _without_door(settings: Settings) -> bool:
    return not settings.slack_app_token and not settings.slack_signing_secret


def _missing_scopes(headers: Mapping[str, str]) -> list[str]:
    """Scopes in use that the token was not granted; none, where Slack did not say what it granted.

    Source: https://docs.slack.dev/authentication/installing-with-oauth (the header `X-OAuth-Scopes`)
    """
    said = {name.lower(): value for name, value in headers.items()}.get("x-oauth-scopes")
    if said is None:
        return []
    return sorted(scopes() - {scope.strip() for scope in said.split(",")})


SLACK_CHECKS: Mapping[str, Check] = {"slack": _own, _WORKSPACES: _workspaces}
