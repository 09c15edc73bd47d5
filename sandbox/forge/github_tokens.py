"""Installation tokens of our App: one repository, only the permissions asked for, kept up to 50 minutes."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

from githubkit import AppAuthStrategy
from pydantic import BaseModel

from sandbox.forge.github_api import GitHubApi
from sandbox.forge.protocol import ForgeRefused, ForgeRepository

if TYPE_CHECKING:
    from githubkit_schemas.latest.types import AppPermissionsType

T = TypeVar("T")

# GitHub gives an hour; the margin covers a long fetch that begins just before the end.
TOKEN_SECONDS = 50 * 60.0

Purpose = Literal["read", "publish", "propose"]

PERMISSIONS: Mapping[Purpose, AppPermissionsType] = {
    "read": {"metadata": "read", "contents": "read", "pull_requests": "read"},
    "publish": {"metadata": "read", "contents": "write"},
    "propose": {"metadata": "read", "contents": "read", "pull_requests": "write"},
}


@dataclass(frozen=True, slots=True)
class GitHubApp:
    """Our App: its id and its private key in PEM."""

    app_id: str
    private_key: str = field(repr=False)


class AppAnswer(BaseModel):
    """What is read of an App."""

    slug: str | None = None


class _Installation(BaseModel):
    id: int


class _Token(BaseModel):
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Kept:
    token: str = field(repr=False)
    until: float


class InstallationTokens:
    """Tokens for repositories the App is installed on. `clock` gives monotonic seconds."""

    def __init__(
        self, api: GitHubApi, app: GitHubApp, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._api = api
        self._client = api.client(AppAuthStrategy(app.app_id, app.private_key))
        self._clock = clock
        self._kept: dict[tuple[str, Purpose], _Kept] = {}
        self._locks: defaultdict[tuple[str, Purpose], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def check(self) -> str | None:
        """The App's slug, as proof that GitHub accepts its key."""
        answer = await self._api.ask(
            "Checking the GitHub App",
            self._client,
            lambda gh: gh.rest.apps.async_get_authenticated(),
            AppAnswer,
        )
        return answer.slug

    async def using(
        self, repository: ForgeRepository, purpose: Purpose, work: Callable[[str], Awaitable[T]]
    ) -> T:
        """What `work` gives with a token; a token that is refused (401) is thrown away and replaced once."""
        token = await self.token(repository, purpose)
        try:
            return await work(token)
        except ForgeRefused as refusal:
            if refusal.status != 401:
                raise
            self._forget(repository, purpose, token)
            return await work(await self.token(repository, purpose))

    async def token(self, repository: ForgeRepository, purpose: Purpose) -> str:
        """A token for this repository alone: `read` contents and pull requests, `publish` contents, or
        `propose` pull requests."""
        key = (repository.slug, purpose)
        async with self._locks[key]:
            kept = self._kept.get(key)
            if kept is None or kept.until <= self._clock():
                kept = _Kept(await self._create(repository, purpose), self._clock() + TOKEN_SECONDS)
                self._kept[key] = kept
            return kept.token

    def _forget(self, repository: ForgeRepository, purpose: Purpose, token: str) -> None:
        kept = self._kept.get((repository.slug, purpose))
        if kept and kept.token == token:
            del self._kept[repository.slug, purpose]

    async def _create(self, repository: ForgeRepository, purpose: Purpose) -> str:
        owner, name = repository.slug.split("/", 1)
        installation = await self._api.ask(
            f"Finding the App's installation on {repository.slug}",
            self._client,
            lambda gh: gh.rest.apps.async_get_repo_installation(owner, name),
            _Installation,
        )
        token = await self._api.ask(
            f"Getting an installation token for {repository.slug}",
            self._client,
            lambda gh: gh.rest.apps.async_create_installation_access_token(
                installation.id, data={"repositories": [name], "permissions": PERMISSIONS[purpose]}
            ),
            _Token,
        )
        return token.token
