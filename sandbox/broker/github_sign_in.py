"""Asking GitHub who somebody is: by the code that their browser brought back, or one that they typed in.

Source: GitHub Docs, "Generating a user access token for a GitHub App" (web application flow, device flow).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.broker.accounts import GitHubOAuth, UserTokens
from sandbox.certificates import bundled_authorities
from sandbox.forge.protocol import ForgeRefused, ForgeUnavailable

TIMEOUT_SECONDS = 15.0
SLOWER_SECONDS = 5.0
"""GitHub adds this to the interval each time it says `slow_down`."""

REFUSALS: Mapping[str, str] = {
    "access_denied": "You said no on GitHub, so nothing was linked. Say “link” to begin again.",
    "expired_token": "The code ran out before it was typed in. Say “link” for a new one.",
    "device_flow_disabled": "This GitHub App does not offer codes. Link your account on the account page.",
}


class DeviceRefused(Exception):
    """No token came of the code; the message says why and what to do."""


class GitHubUser(BaseModel):
    """The part of GitHub's user that is used."""

    id: int
    login: str
    name: str | None = None


class DeviceStarted(BaseModel):
    """A code to type in at `verification_uri`; times in seconds."""

    model_config = ConfigDict(hide_input_in_errors=True)

    device_code: str = Field(repr=False)
    user_code: str
    verification_uri: str
    expires_in: float
    interval: float = 5.0


class _Membership(BaseModel):
    state: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who it was, whether they are an active member of one of the organisations asked about, their tokens."""

    user: GitHubUser
    member: bool
    tokens: UserTokens = field(repr=False)


class GitHubSignIn:
    """Sign-in at one GitHub; `sleep` waits between two looks at a code that is to be typed in."""

    def __init__(
        self,
        oauth: GitHubOAuth,
        api_url: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._oauth = oauth
        self._api_url = api_url.rstrip("/")
        self._sleep = sleep

    @property
    def web_url(self) -> str:
        """Where people sign in."""
        return self._oauth.web_url

    async def exchange(
        self, code: str, verifier: str, redirect_uri: str, organisations: Iterable[str]
    ) -> SignedIn:
        """Who came back with the code. Raises: ForgeRefused, ForgeUnavailable."""
        tokens = await self._oauth.exchange(code, verifier, redirect_uri)
        user = await self._user(tokens)
        member = await self._member(sorted(organisations), tokens)
        return SignedIn(user, member, tokens.model_copy(update={"login": user.login}))

    async def device_start(self) -> DeviceStarted:
        """A new code. Raises: ForgeRefused, ForgeUnavailable."""
        answer = await self._oauth.device_code()
        try:
            return DeviceStarted.model_validate_json(answer)
        except ValidationError as error:
            raise ForgeRefused(
                "GitHub gave no code for linking. Link your account on your account page instead. For an "
                "admin: Device flow must be switched on for the App, and GITHUB_CLIENT_ID must be its client."
            ) from error

    async def device_user(
        self, device_code: str, interval: float, expires_in: float
    ) -> tuple[GitHubUser, UserTokens]:
        """Who typed the code in, with their tokens. Raises: DeviceRefused, ForgeUnavailable."""
        waited = 0.0
        while waited < expires_in:
            await self._sleep(interval)
            waited += interval
            answer = await self._oauth.device_poll(device_code)
            if answer.tokens is not None:
                user = await self._user(answer.tokens)
                return user, answer.tokens.model_copy(update={"login": user.login})
            if answer.error == "slow_down":
                interval += SLOWER_SECONDS
            elif answer.error != "authorization_pending":
                unknown = f"GitHub refused the code ({answer.error}). Say “link” to begin again."
                raise DeviceRefused(REFUSALS.get(answer.error, unknown))
        raise DeviceRefused(REFUSALS["expired_token"])

    async def _user(self, tokens: UserTokens) -> GitHubUser:
        response = await self._get("/user", tokens)
        try:
            return GitHubUser.model_validate_json(response.content)
        except ValidationError as error:
            raise ForgeUnavailable("GitHub did not say who you are. Please try again.") from error

    async def _member(self, organisations: Iterable[str], tokens: UserTokens) -> bool:
        for organisation in organisations:
            path = f"/user/memberships/orgs/{quote(organisation, safe='')}"
            response = await self._get(path, tokens, missing_is_fine=True)
            if response.status_code != 200:
                continue
            try:
                if _Membership.model_validate_json(response.content).state == "active":
                    return True
            except ValidationError as error:
                raise ForgeUnavailable("GitHub's answer about a membership cannot be read.") from error
        return False

    async def _get(self, path: str, tokens: UserTokens, *, missing_is_fine: bool = False) -> httpx.Response:
        headers = {"Authorization": f"Bearer {tokens.access_token}", "Accept": "application/json"}
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, verify=bundled_authorities()) as client:
                response = await client.get(self._api_url + path, headers=headers)
        except httpx.HTTPError as error:
            raise ForgeUnavailable("GitHub does not answer at the moment. Please try again later.") from error
        if response.status_code == 200 or (missing_is_fine and response.status_code in (403, 404)):
            return response
        raise ForgeUnavailable(f"GitHub answered with {response.status_code}. Please try again later.")
