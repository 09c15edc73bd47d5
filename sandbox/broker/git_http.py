"""git for a box, through its door: the session's own repository, served from its quarantine.

Fetches are answered from the box's view of the quarantine, brought up to date with the forge first. Pushes
end in the quarantine. The forge is never spoken to in the box's words, and no credential comes near the box.

Source: gitprotocol-http(5), gitprotocol-v2(5), git-http-backend(1).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sandbox.broker import git_packets
from sandbox.broker.box_view import BoxView
from sandbox.broker.door.handlers import GitAnswer, GitRequest
from sandbox.broker.git import MEBIBYTE, GitFailed
from sandbox.broker.git_exchange import VERSION_2, PushGate, Service, Tell, advertised, fetched, once
from sandbox.broker.git_packets import BadRequest
from sandbox.broker.quarantine import Quarantine, QuarantineLimits
from sandbox.forge.protocol import ForgeError
from session.audit import AuditDown
from session.catalogue import Catalogue, Repository, UnknownRepository
from session.database import DatabaseDown
from session.halt import Halted
from session.log import NoSuchSession

INTERNAL_ORIGIN = "https://git.bellhop.internal"
SERVICES: tuple[Service, ...] = ("git-upload-pack", "git-receive-pack")
REFRESH_SECONDS = 5.0
MAX_FETCH_REQUEST_BYTES = 8 * MEBIBYTE
AT_ONCE = 4
"""So many of a session's fetches and pushes run at once; others wait."""

OURS = "ERR upload-pack: not our ref: what is asked for is not shown here; fetch again from the start"
_UNAVAILABLE = (ForgeError, Halted, AuditDown, DatabaseDown, GitFailed, TimeoutError)
_GITS = re.compile(
    r"(?P<base>.+?)(?:\.git)?(?P<asked>/info/refs|/git-upload-pack|/git-receive-pack|/HEAD|/objects/.*)"
)


@dataclass(frozen=True, slots=True)
class GitDoorParts:
    """What git at the doors works with.

    repository: the repository of a session (raises NoSuchSession, UnknownRepository). refresh: fetches it and
    brings the session's quarantine up to date; gives its path; called at most once in `refresh_seconds`.
    hooks: a directory that only the broker may write, on a disk where programs may be started. tell: puts
    into the session what kept a push from being taken.
    """

    catalogue: Catalogue
    repository: Callable[[str], Awaitable[Repository]]
    refresh: Callable[[str], Awaitable[Path]]
    hooks: Path
    tell: Tell
    limits: QuarantineLimits = field(default_factory=QuarantineLimits)
    refresh_seconds: float = REFRESH_SECONDS


@dataclass(slots=True)
class _Session:
    """What is kept of a session between requests. `fetched` is when its quarantine was brought up to date."""

    quarantine: Path | None = None
    fetched: float = float("-inf")
    refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)
    running: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))


def origin_url(repository: Repository) -> str:
    """The address at which a box finds its repository, with or without `.git` at the end.

    It is the catalogue's own where that is http(s), without any credential in it; else one that exists at
    the door only.
    """
    parts = urlsplit(repository.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"{INTERNAL_ORIGIN}/{repository.slug}.git"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    port = f":{parts.port}" if parts.port not in (None, usual) else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


class GitThroughDoor:
    """Answers git's requests of every box. Implements `sandbox.broker.door.handlers.GitHandler`."""

    def __init__(self, parts: GitDoorParts) -> None:
        self._parts = parts
        self._gate = PushGate(parts.hooks, parts.limits, parts.tell)
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._origins = {_base(origin_url(item)) for item in parts.catalogue.repositories}

    def serves(self, session_id: str, url: str) -> bool:
        """Whether git asks here for a repository of the catalogue; `handle` sees to it that it is the own.

        Pages and archives of the same site are not git's, and follow the egress rules.
        """
        found = _GITS.fullmatch(url)
        return found is not None and found["base"].lower() in self._origins

    async def handle(self, request: GitRequest) -> GitAnswer:
        """git's answer, or one sentence that git shows its user."""
        if not request.session_id:
            return _refusal(403, "A build has its repository in its box already; git is served to sessions.")
        try:
            repository = await self._parts.repository(request.session_id)
            found = _GITS.fullmatch(request.path)
            if found is None or found["base"].lower() != urlsplit(_base(origin_url(repository))).path:
                return _refusal(403, f"This session works in {repository.slug}; no other is served to it.")
            return await self._answer(request, repository, found["asked"])
        except BadRequest as error:
            return _refusal(400, str(error))
        except (NoSuchSession, UnknownRepository) as error:
            return _refusal(403, f"No repository is served to this box: {error}")
        except _UNAVAILABLE as error:
            return _refusal(503, f"The repository cannot be served now: {error} Try again later.")

    def forget(self, session_id: str) -> None:
        """Keep nothing of a session that is over."""
        for known in [known for known in self._sessions if known[0] == session_id]:
            del self._sessions[known]

    async def _answer(self, request: GitRequest, repository: Repository, asked: str) -> GitAnswer:
        if request.method == "GET" and asked == "/info/refs":
            return await self._advertise(request, repository)
        if request.method == "POST" and asked.removeprefix("/") in SERVICES:
            service = asked.removeprefix("/")
            if request.headers.get("content-type") != f"application/x-{service}-request":
                return _refusal(415, f"A request to {service} must have the type that git gives it.")
            serve = self._fetch if service == "git-upload-pack" else self._push
            return await serve(request, repository)
        return _refusal(403, "Only fetching and pushing with git's smart protocol is served here.")

    async def _advertise(self, request: GitRequest, repository: Repository) -> GitAnswer:
        named = parse_qs(request.query).get("service", [""])[0]
        service = next((service for service in SERVICES if service == named), None)
        if service is None:
            return _refusal(403, "Only git's smart protocol is served here; use a newer git.")
        path = await self._quarantine(request.session_id, repository, fresh=True)
        version = _version(request) if service == "git-upload-pack" else ""
        return _result(f"{service}-advertisement", once(await advertised(path, service, version)))

    async def _fetch(self, request: GitRequest, repository: Repository) -> GitAnswer:
        path = await self._quarantine(request.session_id, repository, fresh=False)
        version = _version(request)
        asked = await git_packets.collected(_plain(request), MAX_FETCH_REQUEST_BYTES)
        # git itself gives any object it has in version 2, and in the older ones any that is no commit.
        wanted = git_packets.wanted(asked, version_2=version == VERSION_2)
        if wanted and not await self._view(path, request.session_id).reaches(wanted):
            return _result("git-upload-pack-result", once(git_packets.packet(OURS.encode())))
        session = self._session(request.session_id, repository.slug)
        answer = fetched(path, asked, version)
        return _result("git-upload-pack-result", _in_turn(session.running, answer))

    async def _push(self, request: GitRequest, repository: Repository) -> GitAnswer:
        path = await self._quarantine(request.session_id, repository, fresh=False)
        await self._gate.check()
        session = self._session(request.session_id, repository.slug)
        answer = self._gate.take(path, request.session_id, repository.protected_paths, _plain(request))
        return _result("git-receive-pack-result", _in_turn(session.running, answer))

    async def _quarantine(self, session_id: str, repository: Repository, *, fresh: bool) -> Path:
        """The session's quarantine, with the box's view of it up to date if it has to be `fresh`."""
        session = self._session(session_id, repository.slug)
        async with session.refreshing:
            now = asyncio.get_running_loop().time()
            if session.quarantine and not (fresh and now - session.fetched >= self._parts.refresh_seconds):
                return session.quarantine
            path = await self._parts.refresh(session_id)
            await self._view(path, session_id).follow(repository.default_branch)
            session.quarantine, session.fetched = path, now
            return path

    def _session(self, session_id: str, slug: str) -> _Session:
        return self._sessions.setdefault((session_id, slug), _Session())

    def _view(self, path: Path, session_id: str) -> BoxView:
        return BoxView(Quarantine(path, self._parts.limits), session_id)


async def _in_turn(running: asyncio.Semaphore, answer: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with running, aclosing(answer) as pieces:
        async for piece in pieces:
            yield piece


def _base(address: str) -> str:
    return address.rstrip("/").removesuffix(".git").lower()


def _version(request: GitRequest) -> str:
    asked = request.headers.get("git-protocol", "").split(":")
    return next((version for version in (VERSION_2, "version=1") if version in asked), "")


def _plain(request: GitRequest) -> AsyncIterator[bytes]:
    return git_packets.unpacked(request.body, request.headers.get("content-encoding", ""))


def _result(kind: str, body: AsyncIterator[bytes]) -> GitAnswer:
    headers = [("Content-Type", f"application/x-{kind}"), ("Cache-Control", "no-cache")]
    return GitAnswer(200, headers, body)


def _refusal(status: int, sentence: str) -> GitAnswer:
    # git shows plain text of a refused request after "remote:".
    return GitAnswer(status, [("Content-Type", "text/plain; charset=utf-8")], once(f"{sentence}\n".encode()))
