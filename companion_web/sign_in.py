"""Signing in: by a link that works once, or with GitHub; and the account page that links the two."""

from __future__ import annotations

import secrets
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from companion_web.door import Door, local_path, see_other
from companion_web.fragments import Fragments
from companion_web.github_oauth import GitHubOAuth, new_secret
from companion_web.security import same_origin
from companion_web.trouble import UNAVAILABLE, trouble_status
from companion_web.visitors import FLOW_SECONDS, SignedCookie, Visitor, Visitors
from session.broker import BrokerDown, BrokerRefused
from session.broker_accounts import GitHubAccounts, SignedIn
from session.directory import Directory, IdentityTaken
from session.people import Declared, Identity, Person
from session.settings import Settings

LINK_SECONDS = 900.0
_PURPOSE = "sign-in"
_GITHUB_AWAY = "forge_unavailable"

log = structlog.get_logger(__name__)


async def one_time_link(
    directory: Directory, page_address: str, person: Person, ttl_seconds: float = LINK_SECONDS
) -> str:
    """An address that signs that person in, once and within `ttl_seconds`. It is a secret: print it where
    only they look, and never into chat."""
    ticket = await directory.issue_ticket(_PURPOSE, person.id, ttl_seconds)
    return f"{page_address}/sign-in/link?ticket={quote(ticket, safe='')}"


async def owner(directory: Directory, name: str) -> Person:
    """The person who runs an embedded Bellhop: an admin, made on first sight."""
    person = await directory.resolve(Identity(platform="web", workspace="", account="owner", name=name))
    await directory.set_role(person.id, "admin")
    return person


class _Flow(Declared):
    state: str
    verifier: str
    next: str


class _Turned(Exception):
    """Nobody was signed in; `heading` and `text` say why."""

    def __init__(self, heading: str, text: str) -> None:
        super().__init__(text)
        self.heading = heading
        self.text = text


class SignIn:
    """The sign-in pages. Whom no allow-list names is not let in."""

    def __init__(
        self,
        settings: Settings,
        secret_key: str,
        directory: Directory,
        accounts: GitHubAccounts,
        visitors: Visitors,
        fragments: Fragments,
        door: Door,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._accounts = accounts
        self._visitors = visitors
        self._fragments = fragments
        self._door = door
        self._github = GitHubOAuth(settings)
        https = settings.page_address.startswith("https://")
        self._flow = SignedCookie("bellhop-flow", secret_key, FLOW_SECONDS, https)
        self._admins = _names(settings.admin_logins)
        self._logins = _names(settings.allowed_logins) | self._admins
        self._organisations = _names(settings.allowed_organisations)

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/sign-in", self.show, methods=["GET"]),
            Route("/sign-in/link", self.show_link, methods=["GET"]),
            Route("/sign-in/link", self.use_link, methods=["POST"]),
            Route("/sign-in/github", self.to_github, methods=["GET"]),
            Route("/sign-in/github/callback", self.from_github, methods=["GET"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The ways to sign in."""
        return self._page(request, local_path(request.query_params.get("next", "/")))

    async def show_link(self, request: Request) -> Response:
        """A button that uses the link: looking at it, as previews and scanners do, does not spend it."""
        return self._page(request, "/", ticket=request.query_params.get("ticket", "")[:200])

    async def use_link(self, request: Request) -> Response:
        """Spends the link."""
        if not same_origin(request, self._settings.page_address):
            return self._turn(request, 403, "Not signed in", "Open the link in the browser itself.")
        async with request.form(max_files=0, max_fields=5) as form:
            ticket = str(form.get("ticket", ""))
        person_id = await self._directory.redeem_ticket(_PURPOSE, ticket)
        person = await self._directory.person(person_id) if person_id else None
        if person is None:
            sentence = "This link has been used, or its time is over. Ask for another."
            return self._turn(request, 403, "Not signed in", sentence)
        log.info("signed in by link", person=person.id)
        response = see_other("/")
        self._visitors.sign_in(response, person)
        return response

    async def to_github(self, request: Request) -> Response:
        """Off to GitHub; nothing but a short-lived cookie remembers it."""
        if not self._github.set_up:
            return self._page(request, "/")
        flow = _Flow(
            state=new_secret(), verifier=new_secret(), next=local_path(request.query_params.get("next", "/"))
        )
        response = RedirectResponse(self._github.authorize_address(flow.state, flow.verifier), 303)
        self._flow.set(response, flow)
        return response

    async def from_github(self, request: Request) -> Response:
        """Back from GitHub: signs in, or links the account to who is signed in already."""
        flow = self._flow.read(request, _Flow)
        given = request.query_params
        state = given.get("state", "").encode()
        if flow is None or not secrets.compare_digest(flow.state.encode(), state):
            return self._turn(request, 403, "Not signed in", "That took too long. Please try again.")
        try:
            person = await self._sign_in(await self._visitors.of(request), given.get("code", ""), flow)
        except BrokerDown as down:
            return self._turn(request, UNAVAILABLE, "Not signed in", str(down))
        except BrokerRefused as refused:
            text = f"{refused} Please try again later." if refused.kind == _GITHUB_AWAY else str(refused)
            return self._turn(request, _gateway_status(refused), "GitHub could not help", text)
        except _Turned as turned:
            return self._turn(request, 403, turned.heading, turned.text)
        response = see_other(flow.next)
        self._flow.clear(response)
        self._visitors.sign_in(response, person)
        return response

    async def sign_out(self, request: Request) -> Response:
        """Forgets the browser. It harms nobody, but other sites still may not do it."""
        if not same_origin(request, self._settings.page_address):
            return self._turn(request, 403, "Not done", "Sign out on our own page.")
        response = see_other("/sign-in")
        self._visitors.sign_out(response)
        return response

    async def _sign_in(self, visitor: Visitor | None, code: str, flow: _Flow) -> Person:
        """Who came back, linked to their account. Raises: BrokerDown, BrokerRefused, _Turned."""
        asked = tuple(sorted(self._organisations)) if visitor is None else ()
        signed = await self._accounts.exchange(code, flow.verifier, self._github.callback, asked)
        person = await self._admit(visitor, signed)
        await self._accounts.keep(person.id, signed.grant)
        if signed.login.lower() in self._admins:
            await self._directory.set_role(person.id, "admin")
        log.info("signed in with GitHub", person=person.id, login=signed.login)
        return person

    async def _admit(self, visitor: Visitor | None, signed: SignedIn) -> Person:
        identity = self._github.identity(signed)
        if visitor is not None:
            try:
                return await self._directory.link(visitor.person.id, identity)
            except IdentityTaken as taken:
                raise _Turned(
                    "Not linked", f"The GitHub account {signed.login} already belongs to somebody else here."
                ) from taken
        if not (signed.member or signed.login.lower() in self._logins):
            raise _Turned(
                "Not signed in",
                f"The GitHub account {signed.login} is not on this Bellhop's list of people. "
                "Whoever runs it can add you.",
            )
        return await self._directory.resolve(identity)

    def _page(self, request: Request, target: str, ticket: str | None = None) -> Response:
        html = self._fragments.page(
            "sign_in.html",
            heading="Sign in to Bellhop",
            ticket=ticket,
            github=self._github.set_up,
            embedded=self._settings.embedded,
            next=target,
            **self._door.context(request, None),
        )
        return HTMLResponse(html)

    def _turn(self, request: Request, status: int, heading: str, text: str) -> Response:
        html = self._fragments.page(
            "message.html",
            heading=heading,
            text=text,
            back="/sign-in",
            back_words="Sign in",
            **self._door.context(request, None),
        )
        return HTMLResponse(html, status)


def _names(setting: str) -> frozenset[str]:
    return frozenset(part.strip().lower() for part in setting.split(",") if part.strip())


def _gateway_status(refused: BrokerRefused) -> int:
    """502, unless it is one of ours that does not answer: what failed otherwise is GitHub's side."""
    status = trouble_status(refused)
    return status if status == UNAVAILABLE else 502
