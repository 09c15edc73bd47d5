"""The emulated GitHub as a test holds it: a server on a loopback port, and hands to set the scene."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.emulators.github import repositories
from tests.emulators.github.access import Access, Actor, Refused
from tests.emulators.github.faults import Fault, Faults
from tests.emulators.github.openapi import Description, match
from tests.emulators.github.pulls import PullEndpoints
from tests.emulators.github.rest import Call, GeneralEndpoints, Handler
from tests.emulators.github.shapes import Shapes
from tests.emulators.github.sign_in import SignIn
from tests.emulators.github.state import App, CheckRun, Level, Pull, Repository, User, World
from tests.emulators.github.webhooks import WEBHOOKS, Webhooks

API_PREFIX = "/api/v3"
MAX_BODY_BYTES = 256 * 1024 * 1024
GIT_PATH = re.compile(r"/([^/]+/[^/]+?)(?:\.git)?(/info/refs|/git-upload-pack|/git-receive-pack)")
PERMISSIONS = {
    "metadata": "read",
    "contents": "write",
    "pull_requests": "write",
    "issues": "write",
    "checks": "write",
}


@dataclass(frozen=True)
class Request:
    """One request as it was answered. `body` is the JSON sent, None for git and sign-in."""

    method: str
    path: str
    query: str
    actor: str
    status: int
    body: Any


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
        self._routes: dict[tuple[str, str], Handler] = {**general.routes(), **self._pulls.routes()}
        # The first time on a machine this installs the description, which takes seconds.
        self._description = await asyncio.to_thread(Description, list(self._routes), WEBHOOKS)
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
        await repositories.clone_bare(source, path)
        await repositories.git(path, "symbolic-ref", "HEAD", f"refs/heads/{default_branch}")
        await repositories.git(path, "config", "http.receivepack", "true")
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

    # Answering

    def _check_webhook(self, name: str, payload: Any) -> None:
        self.violations += self._description.webhook_faults(name, payload)

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path.removeprefix(API_PREFIX)
        body = _json(await request.read())
        if fault := self.faults.take(request.method, path, "before"):
            return self._fault(request, path, fault, body)
        actor = Actor()
        try:
            actor = self._access.actor(request.headers.get("Authorization"))
            status, answer = await self._answer(request, path, actor, body)
        except Refused as refusal:
            status, answer = refusal.status, _refusal(refusal)
        if fault := self.faults.take(request.method, path, "after"):
            return self._fault(request, path, fault, body)
        self._log(request, path, actor.name, status, body)
        return web.json_response(
            answer, status=status, headers={"X-GitHub-Media-Type": "github.v3; format=json"}
        )

    async def _answer(self, request: web.Request, path: str, actor: Actor, body: Any) -> tuple[int, Any]:
        endpoint = f"{request.method} {path}"
        if "User-Agent" not in request.headers:
            self.violations.append(f"{endpoint}: no User-Agent")
        for (method, template), handler in self._routes.items():
            parameters = match(template, path) if method == request.method else None
            if parameters is None:
                continue
            query = dict(request.query)
            faults = self._description.request_faults(method, template, parameters, query, body)
            if faults:
                self.violations += [f"{endpoint}: {fault}" for fault in faults]
                raise Refused(422, "Validation Failed", [{"code": "invalid", "message": faults[0]}])
            try:
                status, answer = await handler(Call(actor, parameters, query, body))
            except Refused as refusal:
                status, answer = refusal.status, _refusal(refusal)
            wrong = self._description.response_faults(method, template, status, answer)
            self.violations += [f"{endpoint}: {fault}" for fault in wrong]
            return status, answer
        self.violations.append(f"{endpoint}: the emulator has no such endpoint")
        raise Refused(404, "Not Found")

    async def _git(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path
        found = GIT_PATH.fullmatch(path)
        if found is None:
            return web.Response(status=404, text="Not Found")
        if fault := self.faults.take(request.method, path, "before"):
            return self._fault(request, path, fault, None)
        slug, suffix = found.groups()
        service = request.query.get("service") or suffix.removeprefix("/")
        pushing = service == "git-receive-pack"
        actor = Actor()
        try:
            actor = self._access.actor(request.headers.get("Authorization"))
            repository = self._access.repository(actor, slug, "contents", "write" if pushing else "read")
        except Refused as refusal:
            # Asked without a name, GitHub answers 401 to what it would hide, so that git offers one.
            status = 401 if actor.token is None else refusal.status
            self._log(request, path, actor.name, status, None)
            headers = {"WWW-Authenticate": 'Basic realm="GitHub"'} if status == 401 else {}
            return web.Response(status=status, text=refusal.message, headers=headers)
        response = await repositories.serve(
            repository.path, suffix, request, await request.read(), actor.name
        )
        if suffix == "/git-receive-pack":
            pusher = actor.token.user if actor.token and actor.token.user else repository.owner
            await self._pulls.after_push(repository, pusher)
        if fault := self.faults.take(request.method, path, "after"):
            return self._fault(request, path, fault, None)
        self._log(request, path, actor.name, response.status, None)
        return response

    def _fault(self, request: web.Request, path: str, fault: Fault, body: Any) -> web.Response:
        self._log(request, path, "fault", fault.status, body)
        if fault.status == 0:
            assert request.transport is not None
            request.transport.abort()
        answer = {"message": fault.message, "documentation_url": "https://docs.github.com/rest"}
        return web.json_response(answer, status=fault.status or 502, headers=fault.headers)

    def _log(self, request: web.Request, path: str, actor: str, status: int, body: Any) -> None:
        self.requests.append(Request(request.method, path, request.query_string, actor, status, body))


def _json(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return content.decode("utf-8", "replace")


def _refusal(refusal: Refused) -> dict[str, Any]:
    answer = {
        "message": refusal.message,
        "documentation_url": "https://docs.github.com/rest",
        "status": str(refusal.status),
    }
    return answer if refusal.errors is None else {**answer, "errors": refusal.errors}


def _new_app() -> App:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return App(
        id=4711,
        slug="bellhop",
        client_id="Iv23liBellhopTest",
        client_secret="client-secret-for-tests",
        private_key=private.decode(),
        public_key=public.decode(),
        webhook_secret="webhook-secret-for-tests",
        permissions=dict(PERMISSIONS),
    )
