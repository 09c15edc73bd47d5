"""GitHub as a sign-in: who is this, and which organisations are they in."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable
from urllib.parse import quote, urlencode, urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from companion_web.accounts import GitHubTokens
from session.people import Identity
from session.settings import Settings

TIMEOUT_SECONDS = 15.0
SCOPES = "read:org repo"
"""What an OAuth App asks for; a GitHub App's own permissions are used instead, and this is ignored."""


class GitHubFailed(Exception):
    """GitHub did not answer, or not as it should; the message can be shown."""


class _TokenAnswer(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    access_token: str = Field(repr=False)
    refresh_token: str | None = Field(None, repr=False)
    expires_in: float | None = None
    refresh_token_expires_in: float | None = None


class GitHubUser(BaseModel):
    """The part of GitHub's user that is used."""

    id: int
    login: str
    name: str | None = None


class _Membership(BaseModel):
    state: str


class GitHubOAuth:
    """GitHub's web flow, with PKCE.

    Source: GitHub Docs, "Authorizing OAuth apps"; RFC 7636.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._callback = f"{settings.page_address}/sign-in/github/callback"

    @property
    def set_up(self) -> bool:
        """Whether a client id and secret are given."""
        return bool(self._settings.github_client_id and self._settings.github_client_secret)

    def authorize_address(self, state: str, verifier: str) -> str:
        """Where the browser goes."""
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "client_id": self._settings.github_client_id,
            "redirect_uri": self._callback,
            "scope": SCOPES,
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self._settings.github_url.rstrip('/')}/login/oauth/authorize?{urlencode(query)}"

    async def exchange(self, code: str, verifier: str) -> tuple[GitHubUser, GitHubTokens]:
        """Who came back with that code, and their tokens. Raises: GitHubFailed."""
        form = {
            "client_id": self._settings.github_client_id,
            "client_secret": self._settings.github_client_secret,
            "code": code,
            "redirect_uri": self._callback,
            "code_verifier": verifier,
        }
        address = f"{self._settings.github_url.rstrip('/')}/login/oauth/access_token"
        async with self._client() as client:
            answer = await _ask(client.build_request("POST", address, data=form), client)
            try:
                tokens = _TokenAnswer.model_validate_json(answer.content)
            except ValidationError as error:
                raise GitHubFailed("GitHub did not take the sign-in. Please try again.") from error
            user = await self._user(client, tokens.access_token)
        return user, GitHubTokens(
            login=user.login,
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            expires_in=tokens.expires_in,
            refresh_token_expires_in=tokens.refresh_token_expires_in,
        )

    async def member_of_any(self, organisations: Iterable[str], access_token: str) -> bool:
        """Whether the person is an active member of one of them. Raises: GitHubFailed."""
        async with self._client() as client:
            for organisation in organisations:
                path = f"/user/memberships/orgs/{quote(organisation, safe='')}"
                answer = await _ask(self._api(client, path, access_token), client, missing_is_fine=True)
                if answer.status_code == 200:
                    try:
                        if _Membership.model_validate_json(answer.content).state == "active":
                            return True
                    except ValidationError as error:
                        raise GitHubFailed("GitHub's answer about a membership cannot be read.") from error
        return False

    def identity(self, user: GitHubUser) -> Identity:
        """The account as the directory knows it; its commits carry GitHub's no-reply address."""
        host = urlsplit(self._settings.github_url).hostname or "github.com"
        return Identity(
            platform="github",
            workspace=host,
            account=str(user.id),
            name=user.name or user.login,
            email=f"{user.id}+{user.login}@users.noreply.{host}",
        )

    async def _user(self, client: httpx.AsyncClient, access_token: str) -> GitHubUser:
        answer = await _ask(self._api(client, "/user", access_token), client)
        try:
            return GitHubUser.model_validate_json(answer.content)
        except ValidationError as error:
            raise GitHubFailed("GitHub did not say who you are. Please try again.") from error

    def _api(self, client: httpx.AsyncClient, path: str, access_token: str) -> httpx.Request:
        return client.build_request(
            "GET",
            self._settings.github_api_url.rstrip("/") + path,
            headers={"Authorization": f"Bearer {access_token}"},
        )

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=TIMEOUT_SECONDS, headers={"Accept": "application/json"})


def new_secret() -> str:
    """A random text for a state or a PKCE verifier."""
    return secrets.token_urlsafe(32)


async def _ask(
    request: httpx.Request, client: httpx.AsyncClient, *, missing_is_fine: bool = False
) -> httpx.Response:
    try:
        answer = await client.send(request)
    except httpx.HTTPError as error:
        raise GitHubFailed("GitHub does not answer at the moment. Please try again later.") from error
    if answer.status_code == 200 or (missing_is_fine and answer.status_code in (403, 404)):
        return answer
    raise GitHubFailed(f"GitHub answered with {answer.status_code}. Please try again later.")
