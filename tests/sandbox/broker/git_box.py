"""A box's git against git at the door: a forge on disk, a quarantine, and a loopback server between."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from sandbox.broker.door.handlers import GitRequest
from sandbox.broker.git_http import GitDoorParts, GitThroughDoor
from sandbox.broker.quarantine import Quarantine, QuarantineLimits, references
from sandbox.forge.local import LocalForge
from sandbox.forge.protocol import ForgeRepository
from session.catalogue import Catalogue, Repository
from session.vocabulary import Hold
from tests.companion_web.stage import AnnouncedServer
from tests.sandbox.workbench import AUTHOR, Workbench, git

SESSION = "s1"
SLUG = "acme/billing"
SMALL = QuarantineLimits(bundle_bytes=3_000_000, commits=20, file_bytes=100_000, kept_bytes=8_000_000)


@dataclass(frozen=True, slots=True)
class Done:
    """How a git command in the box ended, and what it showed."""

    code: int
    said: str


@dataclass(slots=True)
class GitHouse:
    """The forge's repository `origin`, and the `quarantine` of session s1 as git at the door keeps it.

    repository is the catalogue's entry; a test may change it before it serves. refreshes counts fetches from
    the forge; failing is raised by the next of them. told is what people were told of refused pushes.
    """

    home: Path
    repository: Repository
    limits: QuarantineLimits = SMALL
    refresh_seconds: float = 0.0
    refreshes: int = 0
    failing: Exception | None = None
    requests: list[str] = field(default_factory=list)
    told: list[Hold] = field(default_factory=list)

    @classmethod
    def at(cls, home: Path) -> GitHouse:
        """A house whose forge has one commit on main."""
        origin = Workbench.new(home / "origin").bare(home / "origin.git")
        return cls(home, Repository(slug=SLUG, forge="local", url=str(origin)))

    @property
    def origin(self) -> Path:
        """The forge's bare repository."""
        return Path(self.repository.url)

    @property
    def quarantine(self) -> Path:
        """The session's bare repository."""
        return self.home / "quarantine" / SESSION / f"{SLUG}.git"

    def handler(self) -> GitThroughDoor:
        """git at the door, for this repository and one more."""
        other = Repository(slug="acme/other", forge="local", url="/nowhere")
        return GitThroughDoor(
            GitDoorParts(
                catalogue=Catalogue([self.repository, other]),
                repository=self._repository,
                refresh=self._refresh,
                hooks=self.home / "hooks",
                tell=self._tell,
                limits=self.limits,
                refresh_seconds=self.refresh_seconds,
            )
        )

    async def pushed(self) -> dict[str, str]:
        """The branches that boxes pushed and the quarantine took."""
        prefix = "refs/namespaces/box/refs/heads/bellhop/"
        found = await references(self.quarantine, prefix)
        return {name.removeprefix(prefix): sha for name, sha in found.items()}

    def to_forge(self, bench: Workbench, branch: str) -> None:
        """Put what is checked out there on a branch of the forge, as somebody else would."""
        git(bench.path, "push", "--quiet", "--force", str(self.origin), f"HEAD:refs/heads/{branch}")

    async def _tell(self, session_id: str, holds: Sequence[Hold]) -> None:
        assert session_id == SESSION
        self.told += holds

    async def _repository(self, session_id: str) -> Repository:
        return self.repository

    async def _refresh(self, session_id: str) -> Path:
        self.refreshes += 1
        if self.failing is not None:
            raise self.failing
        forge = LocalForge(self.home / "forge")
        mirror = await forge.sync_mirror(ForgeRepository(SLUG, self.repository.url, "main"))
        await Quarantine.create(self.quarantine, mirror.path, limits=self.limits)
        return self.quarantine


@dataclass(frozen=True, slots=True)
class GitBox:
    """A working copy that knows the repository only by its address at the door."""

    url: str
    bench: Workbench

    async def git(self, *arguments: str, directory: Path | None = None) -> Done:
        """Run git as in the box."""
        return await box_git(directory or self.bench.path, *arguments)

    async def push(self, branch: str = "bellhop/s1/work", *options: str) -> Done:
        """Push what is checked out."""
        return await self.git("push", *options, "origin", f"HEAD:refs/heads/{branch}")


async def box_git(directory: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> Done:
    """Run git with an environment like a box's, while the server of this process answers."""
    plain = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_TERMINAL_PROMPT": "0"}
    process = await asyncio.create_subprocess_exec(
        "git",
        *arguments,
        cwd=directory,
        env={**plain, **AUTHOR, **(variables or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return Done(process.returncode or 0, said.decode("utf-8", "replace"))


@asynccontextmanager
async def serving(handler: GitThroughDoor, requests: list[str] | None = None) -> AsyncIterator[str]:
    """Serves the handler as the door does, without TLS; gives the address."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # By hand, since a framework's answer would listen for its client on the stream that is still read.
        request = Request(scope, receive)
        path = request.url.path
        if requests is not None:
            requests.append(f"{request.method} {path}")
        if not handler.serves(SESSION, f"https://git.bellhop.internal{path}"):
            await PlainTextResponse("not git's", 404)(scope, receive, send)
            return
        given = await handler.handle(
            GitRequest(
                session_id=SESSION,
                method=request.method,
                path=path,
                query=request.url.query,
                headers=dict(request.headers),
                body=request.stream(),
            )
        )
        headers = [(name.lower().encode(), value.encode()) for name, value in given.headers]
        await send({"type": "http.response.start", "status": given.status, "headers": headers})
        async for piece in given.body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off", ws="none")
    server = AnnouncedServer(config)
    running = asyncio.create_task(server.serve())
    await server.ready.wait()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def boxed(house: GitHouse) -> AsyncIterator[GitBox]:
    """A box of the session that has cloned the repository through git at the door."""
    async with serving(house.handler(), house.requests) as address:
        url = f"{address}/{SLUG}.git"
        place = house.home / "workspace"
        cloned = await box_git(house.home, "clone", "--quiet", url, str(place))
        assert cloned.code == 0, cloned.said
        yield GitBox(url, Workbench(place))
