"""The emulated GitHub as a test holds it: a server on a loopback port, and hands to set the scene."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.emulators.github import repositories
from tests.emulators.github.access import Access
from tests.emulators.github.answering import API_PREFIX, Answering, Request
from tests.emulators.github.faults import Faults
from tests.emulators.github.openapi import Description
from tests.emulators.github.pulls import PullEndpoints
from tests.emulators.github.rest import GeneralEndpoints
from tests.emulators.github.shapes import Shapes
from tests.emulators.github.sign_in import SignIn
from tests.emulators.github.state import App, CheckRun, Level, Pull, Repository, User, World
from tests.emulators.github.webhooks import WEBHOOKS, Webhooks

MAX_BODY_BYTES = 256 * 1024 * 1024
PERMISSIONS = {
    "metadata": "read",
    "contents": "write",
    "pull_requests": "write",
    "issues": "write",
    "checks": "write",
}


class GitHubEmulator:
    """A stateful GitHub under `root`; as `async with`, it fails at the end if a request broke its rules."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._runner: web.AppRunner | None = None
        self._delivering: asyncio.Task[None] | None = None
        self.requests: list[Request] = []
        self.violations: list[str] = []
        self.faults = Faults()
        self.world = World(_new_app())
        self._access = Access(self.world)
        self.sign_in = SignIn(self.world, self._access, self.violations)

    @property
    def app(self) -> App:
        """The App's id, private key, client and webhook secret, as a deployment is configured with."""
        return self.world.app

    async def start(self) -> None:
        """Listen on a free loopback port; `api_url` and `web_url` are set from then on."""
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.add_routes(self.sign_in.routes())
        application.router.add_route("*", API_PREFIX + "/{path:.*}", self._rest)
        application.router.add_route("*", "/{path:.*}", self._git)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.web_url = f"http://{host}:{port}"
        self.api_url = self.web_url + API_PREFIX
        shapes = Shapes(self.api_url, self.web_url, self.world.app)
        self.webhooks = Webhooks(self.world, shapes, self._check_webhook)
        self._pulls = PullEndpoints(self.world, self._access, shapes, self.webhooks)
        general = GeneralEndpoints(self.world, self._access, shapes)
        routes = {**general.routes(), **self._pulls.routes()}
        # The first time on a machine this installs the description, which takes seconds.
        self._description = await asyncio.to_thread(Description, list(routes), WEBHOOKS)
        self._answering = Answering(
            self._access,
            self._pulls,
            routes,
            self._description,
            self.faults,
            self.requests,
            self.violations,
        )
        self._delivering = asyncio.create_task(self.webhooks.run())

    async def aclose(self) -> None:
        """Stop listening and delivering."""
        if self._delivering:
            self._delivering.cancel()
            with suppress(asyncio.CancelledError):
                await self._delivering
        if self._runner:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
        if kind is None:
            self.assert_clean()

    def assert_clean(self) -> None:
        """Fail if a request broke GitHub's rules, or a fault that was ordered never came about."""
        assert not self.violations, "requests GitHub would not take: " + "; ".join(self.violations)
        assert not self.faults.unused, f"faults that no request met: {self.faults.unused}"

    # Setting the scene

    def add_user(self, login: str, *, type: str = "User") -> User:
        """An account of that login, made if need be."""
        user = self.world.users.get(login.lower())
        if user is None:
            user = User(self.world.next_id(), login, type)
            self.world.users[login.lower()] = user
        return user

    async def add_repository(
        self,
        slug: str,
        source: Path,
        *,
        default_branch: str = "main",
        private: bool = True,
        installed: bool = True,
        required_approvals: int = 0,
    ) -> Repository:
        """A repository with a copy of the git repository at `source`; its owner becomes an organisation."""
        path = self._root / "repositories" / f"{slug}.git"
        await repositories.clone_bare(source, path, default_branch)
        repository = Repository(
            id=self.world.next_id(),
            slug=slug,
            path=path,
            default_branch=default_branch,
            owner=self.add_user(slug.split("/")[0], type="Organization"),
            private=private,
            installed=installed,
            required_approvals=required_approvals,
        )
        self.world.repositories[slug.lower()] = repository
        return repository

    def grant(self, login: str, slug: str, level: Level) -> None:
        """Give someone (made if need be) a permission on a repository."""
        self.add_user(login)
        self.repository(slug).people[login.lower()] = level

    def user_token(self, login: str) -> str:
        """A fresh user-to-server token of someone, as signing in would give."""
        return self._access.user_token(self.world.users[login.lower()]).value

    def revoke_tokens(self, *, login: str | None = None) -> None:
        """Make every token of someone (None: of the App's installations) stop working."""
        for token in self.world.tokens.values():
            if (token.user.login if token.user else None) == login:
                token.revoked = True

    def sign_in_as(self, login: str | None) -> None:
        """Who the authorize page approves as; None: nobody is signed in."""
        self.sign_in.user = self.world.users[login.lower()] if login else None

    def repository(self, slug: str) -> Repository:
        """The repository of that slug."""
        return self.world.repositories[slug.lower()]

    def pull(self, slug: str, number: int) -> Pull:
        """A pull request as it is."""
        return self.repository(slug).pulls[number]

    def clone_url(self, slug: str) -> str:
        """Where git clones the repository from."""
        return f"{self.web_url}/{slug}.git"

    async def open(
        self, slug: str, by: str, *, branch: str, base: str = "main", title: str = "Change"
    ) -> Pull:
        """Open a pull request by hand, as someone using GitHub's pages."""
        user = self.world.users[by.lower()]
        return await self._pulls.open(
            self.repository(slug), user, branch=branch, base=base, title=title, body=None, draft=False
        )

    async def merge(self, slug: str, number: int, by: str) -> str:
        """Merge by hand; gives the merge commit."""
        user = self.world.users[by.lower()]
        return await self._pulls.merge(self.repository(slug), self.pull(slug, number), user)

    async def close(self, slug: str, number: int, by: str) -> None:
        """Close a pull request by hand, unmerged."""
        user = self.world.users[by.lower()]
        await self._pulls.close(self.repository(slug), self.pull(slug, number), user)

    async def review(self, slug: str, number: int, by: str, event: str = "APPROVE", body: str = "") -> None:
        """Review by hand; `event` is APPROVE, REQUEST_CHANGES or COMMENT."""
        user = self.world.users[by.lower()]
        await self._pulls.review(self.repository(slug), self.pull(slug, number), user, event, body)

    def add_check_run(self, slug: str, sha: str, name: str, conclusion: str | None) -> None:
        """A check on a commit; a `conclusion` of None means that it still runs."""
        status = "completed" if conclusion else "in_progress"
        run = CheckRun(self.world.next_id(), name, sha, status, conclusion)
        self.repository(slug).check_runs.append(run)

    async def branch_head(self, slug: str, branch: str) -> str | None:
        """The commit a branch is at, or None."""
        return await repositories.head(self.repository(slug).path, branch)

    def _check_webhook(self, name: str, payload: Any) -> None:
        self.violations += self._description.webhook_faults(name, payload)

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        return await self._answering.rest(request)

    async def _git(self, request: web.Request) -> web.StreamResponse:
        return await self._answering.git(request)


def _new_app() -> App:
    private, public = _keys()
    return App(
        id=4711,
        slug="bellhop",
        client_id="Iv23liBellhopTest",
        client_secret="client-secret-for-tests",
        private_key=private,
        public_key=public,
        webhook_secret="webhook-secret-for-tests",
        permissions=dict(PERMISSIONS),
    )


@cache
def _keys() -> tuple[str, str]:
    """The App's keys, the same for all emulators of a process: making them takes long."""
    return new_keys()


def new_keys() -> tuple[str, str]:
    """The private and the public key of an App."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()
