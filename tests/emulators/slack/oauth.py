"""The emulated Slack's OAuth: a page on which an admin allows the app, `oauth.v2.access`, `apps.uninstall`.

Source: https://docs.slack.dev/authentication/installing-with-oauth,
https://docs.slack.dev/reference/methods/apps.uninstall
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from tests.emulators.slack.refusals import Json
from tests.emulators.slack.workspace import APP_ID

CODE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Team:
    """A workspace in which the app can be installed, and what an installation there holds.

    `enterprise`: the organisation it is in, empty for none. `whole_organisation`: its admin takes all of it.
    `token_type`, `expires_in` (seconds, None: never): of the token, as the app's settings would have it.
    """

    id: str
    name: str
    bot_user: str
    bot_token: str
    admin: str
    enterprise: str = ""
    whole_organisation: bool = False
    token_type: str = "bot"
    expires_in: int | None = None


@dataclass(slots=True)
class _Code:
    team: Team
    scopes: str
    redirect_uri: str
    expires_at: float
    spent: bool = False


class SlackOAuth:
    """Allows the app in `team`; None means that nobody is signed in at Slack. `refusal`: the word with
    which Slack sends people back instead, `access_denied` where the admin presses *Cancel*.

    `redirect_urls`: what the app's settings list; a redirect_uri has to begin with one of them. `take_away`:
    takes the app from the workspace whose token that is; gives Slack's error, empty once it is gone, and None
    where it is no such token. Tokens of a `team` that is no emulated workspace end here.
    """

    def __init__(
        self,
        redirect_urls: Iterable[str] = (),
        *,
        known_scopes: Iterable[str],
        clock: Callable[[], float] = time.monotonic,
        take_away: Callable[[str], str | None] = lambda token: None,
    ) -> None:
        self.client_id = "1000.emulated"
        self.client_secret = "emulated-client-secret"
        self.team: Team | None = None
        self.refusal = ""
        self.redirect_urls = list(redirect_urls)
        self.violations: list[str] = []
        self._known_scopes = frozenset(known_scopes)
        self._clock = clock
        self._codes: dict[str, _Code] = {}
        self._take_away = take_away
        self._granted: dict[str, bool] = {}
        """Whether each token that was given out still counts."""

    def routes(self) -> list[web.RouteDef]:
        """All addresses of Slack's that are about it."""
        return [
            web.get("/oauth/v2/authorize", self.authorize),
            web.post("/api/oauth.v2.access", self.access),
            web.post("/api/apps.uninstall", self.uninstall),
        ]

    async def authorize(self, request: web.Request) -> web.Response:
        """The page; the admin of `team` presses *Allow* at once."""
        query = request.query
        redirect_uri = query.get("redirect_uri") or next(iter(self.redirect_urls), "")
        if query.get("client_id") != self.client_id:
            return web.Response(status=400, text="invalid_client_id")
        if not redirect_uri.startswith(tuple(self.redirect_urls)):
            return web.Response(status=400, text="bad_redirect_uri")
        unknown = set(query.get("scope", "").split(",")) - self._known_scopes
        if unknown:
            return web.Response(status=400, text=f"invalid_scope: {sorted(unknown)}")
        if self.team is None:
            return web.Response(status=401, text="Sign in to your workspace")
        if not query.get("state"):
            self.violations.append("authorize without state: the answer could be forged")
        if self.refusal:
            answer = urlencode({"error": self.refusal, "state": query.get("state", "")})
            return web.Response(status=302, headers={"Location": f"{redirect_uri}?{answer}"})
        code = secrets.token_hex(12)
        expires_at = self._clock() + CODE_SECONDS
        self._codes[code] = _Code(self.team, query["scope"], redirect_uri, expires_at)
        answer = urlencode({"code": code, "state": query.get("state", "")})
        return web.Response(status=302, headers={"Location": f"{redirect_uri}?{answer}"})

    async def access(self, request: web.Request) -> web.Response:
        """`oauth.v2.access`: a code for a token."""
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        error = self._client_error(request, form) or self._code_error(form)
        if error:
            return web.json_response({"ok": False, "error": error})
        code = self._codes[form["code"]]
        code.spent = True
        self._granted[code.team.bot_token] = True
        return web.json_response(_installed(code))

    async def uninstall(self, request: web.Request) -> web.Response:
        """`apps.uninstall`: the app leaves the workspace of the token."""
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        error = self._token_error(token) or self._client_error(request, form) or self._ended(token)
        return web.json_response({"ok": False, "error": error} if error else {"ok": True})

    def _token_error(self, token: str) -> str:
        if not token:
            return "not_authed"
        return "" if self._granted.get(token, True) else "account_inactive"

    def _ended(self, token: str) -> str:
        error = self._take_away(token)
        if error is None and token not in self._granted:
            return "invalid_auth"
        self._granted[token] = False
        return error or ""

    def _client_error(self, request: web.Request, form: Json) -> str:
        client, secret = form.get("client_id", ""), form.get("client_secret", "")
        header = request.headers.get("Authorization", "")
        if header.startswith("Basic "):
            client, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        if client != self.client_id:
            return "invalid_client_id"
        return "" if secret == self.client_secret else "bad_client_secret"

    def _code_error(self, form: Json) -> str:
        code = self._codes.get(form.get("code", ""))
        if code is None:
            return "invalid_code"
        if code.spent:
            return "code_already_used"
        if self._clock() >= code.expires_at:
            return "code_expired"
        return "" if form.get("redirect_uri") == code.redirect_uri else "bad_redirect_uri"


def _installed(code: _Code) -> Json:
    team = code.team
    whole = team.whole_organisation
    answer: Json = {
        "ok": True,
        "app_id": APP_ID,
        "access_token": team.bot_token,
        "token_type": team.token_type,
        "scope": code.scopes,
        "bot_user_id": team.bot_user,
        "team": None if whole else {"id": team.id, "name": team.name},
        "enterprise": {"id": team.enterprise, "name": team.enterprise} if team.enterprise else None,
        "is_enterprise_install": whole,
        "authed_user": {"id": team.admin},
    }
    if team.expires_in is None:
        return answer
    return {**answer, "expires_in": team.expires_in, "refresh_token": f"xoxe-1-{team.id}"}
