"""The part of GitHub that a sign-in meets, as a real server: authorize page, token endpoint, user, orgs."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.companion_web.stage import AnnouncedServer

CLIENT_ID, CLIENT_SECRET = "Iv1.test", "client-secret"


@dataclass
class GitHubPages:
    """Strict like the real thing: codes work once, and only with the right secret, address and verifier.

    `login` is who presses "authorize"; `organisations` those they are an active member of.
    """

    url: str
    login: str = "ada"
    organisations: set[str] = field(default_factory=set)
    down: bool = False
    _codes: dict[str, tuple[str, str]] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)

    async def authorize(self, request: Request) -> Response:
        """The person agrees at once."""
        asked = request.query_params
        if asked.get("client_id") != CLIENT_ID or asked.get("code_challenge_method") != "S256":
            return Response(status_code=404)
        code = secrets.token_hex(8)
        self._codes[code] = (asked["redirect_uri"], asked["code_challenge"])
        back = urlencode({"code": code, "state": asked["state"]})
        return RedirectResponse(f"{asked['redirect_uri']}?{back}", 302)

    async def token(self, request: Request) -> Response:
        """A token for a code."""
        if self.down:
            return Response(status_code=503)
        form = {key: str(value) for key, value in (await request.form()).items()}
        redirect_uri, challenge = self._codes.pop(form.get("code", ""), ("", ""))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        fits = (
            form.get("client_secret") == CLIENT_SECRET
            and form.get("redirect_uri") == redirect_uri
            and base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == challenge
        )
        if not fits:
            return JSONResponse({"error": "bad_verification_code"})
        token = f"gho_{secrets.token_hex(8)}"
        self._tokens[token] = self.login
        return JSONResponse({"access_token": token, "token_type": "bearer", "scope": "read:org,repo"})

    async def user(self, request: Request) -> Response:
        """Who the token belongs to."""
        login = self._owner(request)
        if login is None:
            return Response(status_code=401)
        return JSONResponse({"id": sum(login.encode()), "login": login, "name": login.title()})

    async def membership(self, request: Request) -> Response:
        """Whether the token's owner is in the organisation."""
        if self._owner(request) is None:
            return Response(status_code=401)
        if request.path_params["org"] not in self.organisations:
            return Response(status_code=404)
        return JSONResponse({"state": "active", "role": "member"})

    def _owner(self, request: Request) -> str | None:
        return self._tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))


@asynccontextmanager
async def github_pages() -> AsyncIterator[GitHubPages]:
    """The server, on a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        pages = GitHubPages(f"http://127.0.0.1:{listener.getsockname()[1]}")
        app = Starlette(
            routes=[
                Route("/login/oauth/authorize", pages.authorize),
                Route("/login/oauth/access_token", pages.token, methods=["POST"]),
                Route("/api/user", pages.user),
                Route("/api/user/memberships/orgs/{org}", pages.membership),
            ]
        )
        server = AnnouncedServer(uvicorn.Config(app, log_level="warning", lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await server.ready.wait()
        yield pages
        server.should_exit = True
        await running
