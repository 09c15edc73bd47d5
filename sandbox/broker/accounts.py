"""People's own GitHub tokens: kept in the vault, refreshed before they run out, given as credentials."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.broker.vault import Vault
from sandbox.certificates import bundled_authorities
from sandbox.forge.protocol import Credential, ForgeRefused, ForgeUnavailable, NotLinked

REFRESH_MARGIN_SECONDS = 300.0
REQUEST_TIMEOUT_SECONDS = 30.0
# GitHub's words for a refresh token that was used, revoked or has run out.
SPENT = frozenset({"bad_refresh_token", "unauthorized"})


class UserTokens(BaseModel):
    """A person's tokens as the vault keeps them; times in seconds since the epoch, None meaning never."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    login: str
    access_token: str = Field(repr=False)
    refresh_token: str | None = Field(default=None, repr=False)
    expires_at: float | None = None
    refresh_expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class DeviceAnswer:
    """What has become of a code to type in: tokens, or GitHub's word for why there are none."""

    tokens: UserTokens | None = field(repr=False)
    error: str


class _TokenAnswer(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    access_token: str | None = Field(default=None, repr=False)
    refresh_token: str | None = Field(default=None, repr=False)
    expires_in: float | None = None
    refresh_token_expires_in: float | None = None
    error: str | None = None
    error_description: str | None = None


class GitHubOAuth:
    """GitHub's token endpoint for our App's client; no state of its own.

    Source: GitHub Docs, "Refreshing user access tokens" and "Generating a user access token".
    """

    def __init__(
        self,
        web_url: str,
        client_id: str,
        client_secret: str,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.web_url = web_url.rstrip("/")
        self._url = f"{self.web_url}/login/oauth/access_token"
        self._client = {"client_id": client_id, "client_secret": client_secret}
        self._clock = clock

    async def exchange(self, code: str, verifier: str, redirect_uri: str) -> UserTokens:
        """The tokens for a code that the sign-in page brought back; whose they are is not known yet.

        Raises: `ForgeRefused` on a bad code, `ForgeUnavailable`.
        """
        form = {"code": code, "code_verifier": verifier, "redirect_uri": redirect_uri}
        return await self._ask("somebody who signs in", form)

    async def device_code(self) -> bytes:
        """GitHub's answer with a code to type in. Raises: `ForgeUnavailable`."""
        form = {"client_id": self._client["client_id"]}
        return (await self._post(f"{self.web_url}/login/device/code", form, "somebody who links")).content

    async def device_poll(self, device_code: str) -> DeviceAnswer:
        """What has become of the code. Raises: `ForgeUnavailable`."""
        asked_at = self._clock()
        form = {
            "client_id": self._client["client_id"],
            "device_code": device_code,
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        }
        response = await self._post(self._url, form, "somebody who links")
        answer = _readable("somebody who links", response)
        if answer.error or answer.access_token is None:
            return DeviceAnswer(None, answer.error or "no_answer")
        return DeviceAnswer(_tokens("", response, asked_at), "")

    async def refresh(self, tokens: UserTokens) -> UserTokens:
        """New tokens for old ones; the old refresh token is spent by this.

        Raises: `NotLinked` when the refresh token is no longer good, `ForgeUnavailable`, `ForgeRefused`.
        """
        if tokens.refresh_token is None:
            raise _link_again(tokens.login)
        return await self._ask(
            tokens.login, {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
        )

    async def _ask(self, login: str, form: dict[str, str]) -> UserTokens:
        asked_at = self._clock()
        response = await self._post(self._url, {**self._client, **form}, login)
        return _tokens(login, response, asked_at)

    async def _post(self, url: str, form: dict[str, str], login: str) -> httpx.Response:
        try:
            trusted = bundled_authorities()
            async with httpx.AsyncClient(timeout=REQUEST_TIMEOUT_SECONDS, verify=trusted) as client:
                response = await client.post(url, data=form, headers={"Accept": "application/json"})
        except httpx.HTTPError as error:
            raise ForgeUnavailable(
                f"GitHub did not answer when the tokens of {login} were asked for ({type(error).__name__})."
            ) from error
        if response.status_code >= 500 or response.status_code == 429:
            raise ForgeUnavailable(
                f"GitHub answered {response.status_code} when the tokens of {login} were asked for."
            )
        return response


def _readable(login: str, response: httpx.Response) -> _TokenAnswer:
    try:
        return _TokenAnswer.model_validate_json(response.content)
    except ValidationError as error:
        raise ForgeUnavailable(
            f"GitHub's answer ({response.status_code}) for the tokens of {login} cannot be read."
        ) from error


def _tokens(login: str, response: httpx.Response, asked_at: float) -> UserTokens:
    answer = _readable(login, response)
    if answer.error in SPENT:
        raise _link_again(login)
    if answer.error or answer.access_token is None:
        raise ForgeRefused(
            f"GitHub gave no token for {login}: {answer.error_description or answer.error}. "
            "Check GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET.",
            response.status_code,
        )
    return UserTokens(
        login=login,
        access_token=answer.access_token,
        refresh_token=answer.refresh_token,
        expires_at=_after(asked_at, answer.expires_in),
        refresh_expires_at=_after(asked_at, answer.refresh_token_expires_in),
    )


def _after(start: float, seconds: float | None) -> float | None:
    return None if seconds is None else start + seconds


def _link_again(login: str) -> NotLinked:
    return NotLinked(f"The GitHub account {login} is no longer linked; link it again on the account page.")


class GitHubAccounts:
    """Who is linked to which GitHub account, by Bellhop's own id of the person."""

    def __init__(self, vault: Vault, oauth: GitHubOAuth, *, clock: Callable[[], float] = time.time) -> None:
        self._vault = vault
        self._oauth = oauth
        self._clock = clock

    async def link(self, person: str, tokens: UserTokens) -> None:
        """Keep the person's tokens, in place of former ones."""
        async with self._vault.lock(_name(person)):
            await self._vault.put(_name(person), tokens.model_dump_json())

    async def unlink(self, person: str) -> None:
        """Forget the person's tokens."""
        async with self._vault.lock(_name(person)):
            await self._vault.delete(_name(person))

    async def login(self, person: str) -> str | None:
        """The person's login on GitHub, or None if not linked."""
        tokens = await self._read(person)
        return tokens.login if tokens else None

    async def credential(self, person: str) -> Credential | None:
        """A credential that is good for some minutes at least, or None if the person is not linked.

        A refresh token works once, so only one refreshes at a time and the others read what it got. An
        account whose refresh token is spent counts as not linked from then on.

        Raises: `ForgeUnavailable`, `ForgeRefused`, `VaultError`.
        """
        tokens = await self._read(person)
        if tokens and self._runs_out(tokens):
            tokens = await asyncio.shield(self._refreshed(person, refused=None))
        return Credential(tokens.login, tokens.access_token) if tokens else None

    async def renewed(self, person: str, refused: Credential) -> Credential | None:
        """A credential other than the one GitHub just refused with 401; None if there is none to be had."""
        tokens = await asyncio.shield(self._refreshed(person, refused=refused.token))
        return Credential(tokens.login, tokens.access_token) if tokens else None

    async def _refreshed(self, person: str, *, refused: str | None) -> UserTokens | None:
        # Shielded by the callers: once GitHub has spent the old token, the new one must be kept.
        async with self._vault.lock(_name(person)):
            tokens = await self._read(person)
            if tokens is None or not (self._runs_out(tokens) or tokens.access_token == refused):
                return tokens
            try:
                fresh = await self._oauth.refresh(tokens)
            except NotLinked:
                await self._vault.delete(_name(person))
                return None
            await self._vault.put(_name(person), fresh.model_dump_json())
            return fresh

    async def _read(self, person: str) -> UserTokens | None:
        kept = await self._vault.get(_name(person))
        return None if kept is None else UserTokens.model_validate_json(kept)

    def _runs_out(self, tokens: UserTokens) -> bool:
        return tokens.expires_at is not None and tokens.expires_at - self._clock() < REFRESH_MARGIN_SECONDS


def _name(person: str) -> str:
    return f"github/{person}"
