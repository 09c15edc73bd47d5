"""GitHub, or GitHub Enterprise: git over HTTPS with installation tokens, pull requests as the person."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import BaseModel

from sandbox.forge import branches
from sandbox.forge.branches import Access
from sandbox.forge.github_answers import (
    AccessAnswer,
    LimitsAnswer,
    MergeAnswer,
    PullRequestAnswer,
    PullRequestsAnswer,
    reference,
)
from sandbox.forge.github_api import GitHubApi, Patience, Request
from sandbox.forge.github_tokens import GitHubApp, InstallationTokens, Purpose
from sandbox.forge.mirrors import Mirrors, checked_slug
from sandbox.forge.protocol import (
    Credential,
    Forge,
    ForgeError,
    ForgeRefused,
    ForgeRepository,
    HeadMoved,
    Mirror,
    NotLinked,
    Permission,
    PullRequestRef,
)

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
MergeMethod = Literal["merge", "squash", "rebase"]


@dataclass(frozen=True, slots=True)
class _Creation:
    """A pull request to be opened."""

    branch: str
    base: str
    title: str
    body: str
    draft: bool


class GitHubForge:
    """One GitHub, at `api_url` (REST; Enterprise: `…/api/v3`) and `web_url` (pages and git).

    Without an `app`, only public repositories can be read and nothing can be published.
    """

    def __init__(
        self,
        directory: Path,
        *,
        api_url: str,
        web_url: str,
        app: GitHubApp | None,
        patience: Patience | None = None,
        merge_method: MergeMethod = "merge",
    ) -> None:
        self._web_url = web_url.rstrip("/")
        self._api = GitHubApi(api_url, patience or Patience())
        self._tokens = InstallationTokens(self._api, app) if app else None
        self._mirrors = Mirrors(directory / "mirrors")
        self._merge_method = merge_method

    @property
    def name(self) -> str:
        return "github"

    @property
    def needs_credential(self) -> bool:
        return True

    async def check(self) -> None:
        if self._tokens:
            await self._tokens.check()
            return
        await self._api.ask(
            "Reaching GitHub", self._api.client(None), lambda gh: gh.rest.rate_limit.async_get(), LimitsAnswer
        )

    async def permission(self, repository: ForgeRepository, login: str) -> Permission:
        owner, name = _owner_and_name(repository)
        try:
            answer = await self._read(
                repository,
                f"Reading what {login} may do in {repository.slug}",
                lambda gh: gh.rest.repos.async_get_collaborator_permission_level(owner, name, login),
                AccessAnswer,
            )
        except ForgeRefused as refusal:
            if refusal.status == 404:
                return "none"
            raise
        return answer.permission

    async def sync_mirror(self, repository: ForgeRepository) -> Mirror:
        async def sync(access: Access) -> Mirror:
            return await self._mirrors.sync(repository, config=access.config, protocols=access.protocols)

        return await self._with_git(repository, "read", sync)

    async def branch_head(self, repository: ForgeRepository, branch: str) -> str | None:
        async def read(access: Access) -> str | None:
            return await branches.branch_head(repository, branch, access)

        return await self._with_git(repository, "read", read)

    async def publish(
        self, repository: ForgeRepository, quarantine: Path, sha: str, branch: str, expected: str | None
    ) -> None:
        async def push(access: Access) -> None:
            await branches.publish(repository, quarantine, sha, branch, expected, access)

        if self._tokens is None:
            raise ForgeError(
                f"Publishing to {repository.slug} takes a GitHub App; set GITHUB_APP_ID and "
                "GITHUB_APP_PRIVATE_KEY and install the App on the repository."
            )
        await self._with_git(repository, "publish", push)

    async def find_pull_request(self, repository: ForgeRepository, branch: str) -> PullRequestRef | None:
        owner, name = _owner_and_name(repository)
        found = await self._read(
            repository,
            f"Looking for the pull request of {branch} in {repository.slug}",
            lambda gh: gh.rest.pulls.async_list(owner, name, state="open", head=f"{owner}:{branch}"),
            PullRequestsAnswer,
        )
        return reference(found.root[0], adopted=True) if found.root else None

    async def open_pull_request(
        self,
        repository: ForgeRepository,
        *,
        branch: str,
        base: str,
        title: str,
        body: str,
        draft: bool,
        as_person: Credential | None,
    ) -> PullRequestRef:
        if found := await self.find_pull_request(repository, branch):
            return found
        person = _linked(repository, as_person, "open a pull request")
        create = _Creation(branch, base, title, body, draft)
        return await self._create(repository, create, person.token, person.login)

    async def open_draft(
        self, repository: ForgeRepository, *, branch: str, base: str, title: str, body: str
    ) -> PullRequestRef:
        if found := await self.find_pull_request(repository, branch):
            return found
        if self._tokens is None:
            raise ForgeError(f"Proposing to {repository.slug} takes a GitHub App; set GITHUB_APP_ID.")
        create = _Creation(branch, base, title, body, draft=True)
        return await self._tokens.using(
            repository, "propose", lambda token: self._create(repository, create, token, None)
        )

    async def _create(
        self, repository: ForgeRepository, create: _Creation, token: str, login: str | None
    ) -> PullRequestRef:
        """Opens it; `login` is who opens it, None: Bellhop itself."""
        owner, name = _owner_and_name(repository)
        branch = create.branch
        try:
            opened = await self._api.ask(
                f"Opening a pull request for {branch} in {repository.slug}",
                self._api.client(token),
                lambda gh: gh.rest.pulls.async_create(
                    owner,
                    name,
                    data={
                        "title": create.title,
                        "head": branch,
                        "base": create.base,
                        "body": create.body,
                        "draft": create.draft,
                    },
                ),
                PullRequestAnswer,
                settled=lambda: self._opened_by(repository, branch, login),
            )
        except ForgeRefused as refusal:
            # 422 is also GitHub's word for "there is one already": someone was faster.
            if refusal.status == 422 and (found := await self.find_pull_request(repository, branch)):
                return found
            raise
        return reference(opened, adopted=False)

    async def pull_request(self, repository: ForgeRepository, number: int) -> PullRequestRef:
        return reference(await self._pull_request(repository, number), adopted=False)

    async def merge(
        self,
        repository: ForgeRepository,
        number: int,
        head_sha: str,
        *,
        as_person: Credential | None,
        message: str,
    ) -> PullRequestRef:
        person = _linked(repository, as_person, "merge")
        current = await self.pull_request(repository, number)
        if current.head_sha != head_sha:
            raise _head_moved(repository, number, head_sha, current.head_sha)
        if current.state == "merged":
            return current
        try:
            await self._put_merge(repository, number, head_sha, person, message)
        except ForgeRefused as refusal:
            if refusal.status != 409:
                raise
            now = await self.pull_request(repository, number)
            if now.head_sha == head_sha:
                raise
            raise _head_moved(repository, number, head_sha, now.head_sha) from refusal
        return await self.pull_request(repository, number)

    def compare_url(self, repository: ForgeRepository, base: str, branch: str) -> str:
        slug = checked_slug(repository.slug)
        return f"{self._web_url}/{slug}/compare/{quote(base)}...{quote(branch)}?expand=1"

    async def _put_merge(
        self, repository: ForgeRepository, number: int, head_sha: str, person: Credential, message: str
    ) -> None:
        owner, name = _owner_and_name(repository)

        async def merged_already() -> MergeAnswer | None:
            pull_request = await self._pull_request(repository, number)
            return MergeAnswer(merged=True) if pull_request.merged_at else None

        title, _, detail = message.partition("\n")
        await self._api.ask(
            f"Merging pull request #{number} of {repository.slug}",
            self._api.client(person.token),
            lambda gh: gh.rest.pulls.async_merge(
                owner,
                name,
                number,
                data={
                    "commit_title": title,
                    "commit_message": detail.strip(),
                    "sha": head_sha,
                    "merge_method": self._merge_method,
                },
            ),
            MergeAnswer,
            settled=merged_already,
        )

    async def _opened_by(
        self, repository: ForgeRepository, branch: str, login: str | None
    ) -> PullRequestAnswer | None:
        found = await self.find_pull_request(repository, branch)
        if found is None or (login is not None and found.author != login):
            return None
        return await self._pull_request(repository, found.number)

    async def _pull_request(self, repository: ForgeRepository, number: int) -> PullRequestAnswer:
        owner, name = _owner_and_name(repository)
        return await self._read(
            repository,
            f"Reading pull request #{number} of {repository.slug}",
            lambda gh: gh.rest.pulls.async_get(owner, name, number),
            PullRequestAnswer,
        )

    async def _read(
        self, repository: ForgeRepository, doing: str, request: Request, model: type[Model]
    ) -> Model:
        if self._tokens is None:
            return await self._api.ask(doing, self._api.client(None), request, model)
        return await self._tokens.using(
            repository, "read", lambda token: self._api.ask(doing, self._api.client(token), request, model)
        )

    async def _with_git(
        self, repository: ForgeRepository, purpose: Purpose, work: Callable[[Access], Awaitable[T]]
    ) -> T:
        address = urlsplit(repository.url)
        if address.username or address.password:
            raise ForgeError(
                f"The url of {repository.slug} in the catalogue holds a credential; take it out, "
                "Bellhop brings its own."
            )
        if self._tokens is None:
            return await work(self._git_access(None))
        return await self._tokens.using(repository, purpose, lambda token: work(self._git_access(token)))

    def _git_access(self, token: str | None) -> Access:
        """Git's way to this GitHub: the header goes nowhere else, and no redirect is followed with it."""
        config = {"http.followRedirects": "false"}
        if token:
            basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
            config[f"http.{self._web_url}/.extraHeader"] = f"Authorization: Basic {basic}"
        return Access(protocols=(urlsplit(self._web_url).scheme,), config=config)


def _owner_and_name(repository: ForgeRepository) -> tuple[str, str]:
    owner, name = checked_slug(repository.slug).split("/", 1)
    return owner, name


def _linked(repository: ForgeRepository, person: Credential | None, doing: str) -> Credential:
    if person is None:
        raise NotLinked(
            f"To {doing} in {repository.slug} as a person, that person must first link their GitHub account."
        )
    return person


def _head_moved(repository: ForgeRepository, number: int, expected: str, actual: str) -> HeadMoved:
    return HeadMoved(
        f"Pull request #{number} of {repository.slug} is at {actual[:12]}, not at the approved "
        f"{expected[:12]}; look at the new commits and approve again.",
        actual,
    )


def build(*, directory: Path, settings: Mapping[str, str]) -> Forge:
    """GitHub under `directory`; settings: `GITHUB_API_URL`, `GITHUB_URL`, `GITHUB_APP_ID`,
    `GITHUB_APP_PRIVATE_KEY` (PEM, both or neither)."""
    app_id, private_key = settings.get("GITHUB_APP_ID"), settings.get("GITHUB_APP_PRIVATE_KEY")
    if bool(app_id) != bool(private_key):
        raise ForgeError("Set both GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY, or neither.")
    return GitHubForge(
        directory / "github",
        api_url=settings.get("GITHUB_API_URL") or "https://api.github.com",
        web_url=settings.get("GITHUB_URL") or "https://github.com",
        app=GitHubApp(app_id, private_key) if app_id and private_key else None,
    )
