"""The emulated GitHub's OAuth: a page that approves as a chosen user, codes, tokens, refresh, device flow."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from urllib.parse import urlencode

from aiohttp import web

from tests.emulators.github.access import USER_TOKEN_SECONDS, Access
from tests.emulators.github.device_flow import GRANT_TYPE, DeviceFlow, DeviceRefused, form_of, said
from tests.emulators.github.state import RefreshToken, SignInCode, User, World

REFRESH_TOKEN_SECONDS = 15_811_200


class _TokenRefused(Exception):
    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


class SignIn:
    """Approves as `user`; None means that nobody is signed in at GitHub. `devices`: codes to type in."""

    def __init__(self, world: World, access: Access, violations: list[str]) -> None:
        self.user: User | None = None
        self.callback_url: str | None = None
        self.devices = DeviceFlow(world, violations)
        self._world = world
        self._access = access
        self._violations = violations

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/login/oauth/authorize", self.authorize),
            web.post("/login/oauth/access_token", self.access_token),
            web.post("/login/device/code", self.device_code),
        ]

    async def authorize(self, request: web.Request) -> web.Response:
        query = request.query
        if query.get("client_id") != self._world.app.client_id:
            return web.Response(status=404, text="No such application")
        redirect_uri = query.get("redirect_uri", self.callback_url or "")
        if not redirect_uri or not redirect_uri.startswith(self.callback_url or redirect_uri):
            return web.Response(status=400, text="The redirect_uri is not associated with this application")
        if self.user is None:
            return web.Response(status=401, text="Sign in to GitHub")
        if not query.get("state"):
            self._violations.append("authorize without state: the answer could be forged")
        code = secrets.token_hex(10)
        self._world.codes[code] = SignInCode(self.user, redirect_uri, query.get("code_challenge"))
        separator = "&" if "?" in redirect_uri else "?"
        answer = urlencode({"code": code, "state": query.get("state", "")})
        return web.Response(status=302, headers={"Location": f"{redirect_uri}{separator}{answer}"})

    async def device_code(self, request: web.Request) -> web.Response:
        try:
            answer = self.devices.codes(await form_of(request))
        except DeviceRefused as refused:
            status = 404 if refused.error == "Not Found" else 200
            return web.json_response(said(refused), status=status)
        return _worded(request, answer)

    async def access_token(self, request: web.Request) -> web.Response:
        answer: Mapping[str, str | float]
        try:
            answer = self._answer(await form_of(request))
        except _TokenRefused as refusal:
            # GitHub says no with status 200.
            answer = {"error": refusal.error, "error_description": refusal.description}
        except DeviceRefused as refused:
            answer = said(refused)
        return _worded(request, answer)

    def _answer(self, form: Mapping[str, str]) -> dict[str, str | int]:
        grant_type = form.get("grant_type", "authorization_code")
        if grant_type == GRANT_TYPE:
            return self._issue(self.devices.user_of(form))
        if grant_type not in ("authorization_code", "refresh_token"):
            raise _TokenRefused("unsupported_grant_type", f"The grant type must be {GRANT_TYPE}.")
        app = self._world.app
        if (form.get("client_id"), form.get("client_secret")) != (app.client_id, app.client_secret):
            raise _TokenRefused(
                "incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect."
            )
        if grant_type == "refresh_token":
            return self._issue(self._refreshing(form.get("refresh_token", "")))
        return self._issue(self._signing_in(form))

    def _refreshing(self, value: str) -> User:
        token = self._world.refresh_tokens.get(value)
        if token is None or token.spent:
            raise _TokenRefused("bad_refresh_token", "The refresh token passed is incorrect or expired.")
        token.spent = True
        return token.user

    def _signing_in(self, form: Mapping[str, str]) -> User:
        code = self._world.codes.get(form.get("code", ""))
        if code is None or code.spent:
            raise _TokenRefused("bad_verification_code", "The code passed is incorrect or expired.")
        if form.get("redirect_uri", code.redirect_uri) != code.redirect_uri:
            raise _TokenRefused("redirect_uri_mismatch", "The redirect_uri MUST match the registered one.")
        if code.code_challenge and code.code_challenge != _challenge(form.get("code_verifier", "")):
            raise _TokenRefused("bad_verification_code", "The code_verifier does not match.")
        code.spent = True
        return code.user

    def _issue(self, user: User) -> dict[str, str | int]:
        token = self._access.user_token(user)
        refresh = RefreshToken(f"ghr_{secrets.token_hex(38)}", user)
        self._world.refresh_tokens[refresh.value] = refresh
        return {
            "access_token": token.value,
            "expires_in": USER_TOKEN_SECONDS,
            "refresh_token": refresh.value,
            "refresh_token_expires_in": REFRESH_TOKEN_SECONDS,
            "scope": "",
            "token_type": "bearer",
        }


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _worded(request: web.Request, answer: Mapping[str, str | float]) -> web.Response:
    if request.headers.get("Accept") == "application/json":
        return web.json_response(dict(answer))
    return web.Response(text=urlencode(answer), content_type="application/x-www-form-urlencoded")
