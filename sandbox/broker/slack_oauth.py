"""How an installation in a workspace begins and ends at Slack: a code for a token, and the app taken away.

Source: https://docs.slack.dev/authentication/installing-with-oauth,
https://docs.slack.dev/reference/methods/oauth.v2.access,
https://docs.slack.dev/reference/methods/apps.uninstall
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.certificates import bundled_authorities

TIMEOUT_SECONDS = 15.0
MAX_NAME_CHARACTERS = 255

_AGAIN = "Begin again with “Add to a workspace”."
_BAD_CLIENT = (
    "Slack does not know this app by what Bellhop says of it. Check SLACK_CLIENT_ID and SLACK_CLIENT_SECRET: "
    "both stand under “Basic Information” → “App Credentials”."
)
_REFUSALS: Mapping[str, str] = {
    "code_already_used": f"Slack's answer was used before, and each is good once. {_AGAIN}",
    "code_expired": f"Slack's answer is good for ten minutes, and they were over. {_AGAIN}",
    "invalid_code": f"Slack does not know this answer as its own. {_AGAIN}",
    "invalid_client_id": _BAD_CLIENT,
    "bad_client_secret": _BAD_CLIENT,
}
_NOT_SET_UP = (
    "Bellhop does not know its app at Slack. Set SLACK_CLIENT_ID and SLACK_CLIENT_SECRET, as "
    "docs/set-up-slack.md says, and restart the broker."
)
_ORGANISATION_WIDE = (
    "Slack installed the app for a whole organisation, and Bellhop serves single workspaces. Have it removed "
    "there, begin again, and choose a workspace at the top of Slack's page."
)
_NOT_A_BOT = (
    "Slack gave a token that is not of the app's bot. Paste deploy/slack_manifest.yaml under “App Manifest” "
    "in the app's settings, which has a bot user, and begin again."
)
_ROTATED = (
    "Slack gave a token that ends after some hours. Switch token rotation off in the app's settings "
    "(“OAuth & Permissions”), or make a new app where Slack does not let you, and begin again."
)
_ENDED = frozenset({"account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"})
"""Slack's words for a token that it takes no longer."""


class SlackRefused(Exception):
    """Slack did not do it; the message says why and, where something can be done, what."""


class SlackAway(Exception):
    """Slack does not answer; the message says so."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What a workspace granted: its facts as Slack tells them, scopes sorted, and the bot's token."""

    team_id: str
    team_name: str
    enterprise_id: str | None
    bot_user_id: str
    scopes: tuple[str, ...]
    token: str = field(repr=False)


class _Named(BaseModel):
    id: str
    name: str = ""


class _Answer(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    ok: bool
    error: str = ""
    access_token: str = Field(default="", repr=False)
    refresh_token: str = Field(default="", repr=False)
    expires_in: float | None = None
    token_type: str = ""
    scope: str = ""
    bot_user_id: str = ""
    team: _Named | None = None
    enterprise: _Named | None = None
    is_enterprise_install: bool = False


class _Bearer(httpx.Auth):
    """Calls with a workspace's token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See `httpx.Auth`."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class SlackOAuth:
    """The app as Slack knows it. `api_url` is that of the Web API; the client's secret stays in here."""

    def __init__(self, api_url: str, client_id: str, client_secret: str) -> None:
        self._api_url = api_url
        self._client = (client_id, client_secret)

    async def exchange(self, code: str, redirect_uri: str) -> Granted:
        """What the code stands for; it is spent by this, whatever comes of it.

        Raises: SlackRefused, SlackAway.
        """
        if not all(self._client):
            raise SlackRefused(_NOT_SET_UP)
        # The client goes into a header: of a form, Slack says that it warns.
        form = {"code": code, "redirect_uri": redirect_uri}
        answer = await self._ask("oauth.v2.access", form, httpx.BasicAuth(*self._client))
        if not answer.ok:
            raise SlackRefused(_refusal(answer.error, redirect_uri))
        return _granted(answer)

    async def uninstall(self, token: str) -> None:
        """The app is out of the workspace of the token, and all its tokens there end.

        Raises: SlackRefused, SlackAway, with a message of one sentence.
        """
        if not all(self._client):
            raise SlackRefused("SLACK_CLIENT_ID and SLACK_CLIENT_SECRET are not set.")
        # A form, since addresses are written into logs; the header is the token's.
        form = dict(zip(("client_id", "client_secret"), self._client, strict=True))
        answer = await self._ask("apps.uninstall", form, _Bearer(token))
        if not answer.ok:
            raise SlackRefused(_why_it_stays(answer.error))

    async def _ask(self, method: str, form: Mapping[str, str], auth: httpx.Auth) -> _Answer:
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, verify=bundled_authorities()) as client:
                response = await client.post(urljoin(self._api_url, method), data=dict(form), auth=auth)
        except httpx.HTTPError as error:
            raise SlackAway(f"Slack did not answer ({type(error).__name__}).") from error
        try:
            return _Answer.model_validate_json(response.content)
        except ValidationError as error:
            raise SlackAway(
                f"Slack answered {response.status_code}, and nothing that can be read."
            ) from error


def _refusal(error: str, redirect_uri: str) -> str:
    if error == "bad_redirect_uri":
        return (
            "Slack does not send people back to this address. Enter it under “OAuth & Permissions” → "
            f"“Redirect URLs” in the app's settings: {redirect_uri}"
        )
    return _REFUSALS.get(error) or f"Slack says no ({error or 'without a reason'}). {_AGAIN}"


def _why_it_stays(error: str) -> str:
    """Why the app was not taken away, in a sentence."""
    if error in _ENDED:
        return "Slack does not take its token any more, so the app is most likely gone already."
    if error in ("bad_client_secret", "client_id_token_mismatch", "invalid_client_id"):
        return f"Slack does not know the app by SLACK_CLIENT_ID and SLACK_CLIENT_SECRET ({error})."
    return f"Slack did not take the app away ({error or 'without a reason'})."


def _granted(answer: _Answer) -> Granted:
    """The workspace's grant. Raises: SlackRefused, for a kind of installation that cannot be served."""
    if answer.is_enterprise_install or answer.team is None:
        raise SlackRefused(_ORGANISATION_WIDE)
    if answer.token_type != "bot" or not answer.access_token:
        raise SlackRefused(_NOT_A_BOT)
    if answer.expires_in is not None or answer.refresh_token:
        raise SlackRefused(_ROTATED)
    return Granted(
        team_id=answer.team.id,
        team_name=(answer.team.name or answer.team.id)[:MAX_NAME_CHARACTERS],
        enterprise_id=answer.enterprise.id if answer.enterprise else None,
        bot_user_id=answer.bot_user_id,
        scopes=tuple(sorted(scope for scope in answer.scope.split(",") if scope)),
        token=answer.access_token,
    )
