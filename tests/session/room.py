"""The whole room put together on a real database, with shortcuts for what a worker would record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import TypeVar

from session import events as e
from session.artifacts import Artifacts
from session.catalogue import Catalogue, Repository
from session.commands import Commands
from session.database import Database
from session.directory import Directory
from session.effects import Effects
from session.leases import Leases
from session.log import Log
from session.outbox import Outbox
from session.people import Person, Role
from session.pulse import Pulse
from session.queue import Queue
from session.reconciler import Reconciler
from session.view import SessionView
from tests.session.people import ORIGIN, identity, prompt

CATALOGUE = Catalogue(
    Repository(slug=slug, forge="local", url=f"/srv/{slug}.git") for slug in ("acme/web", "acme/api")
)
T = TypeVar("T")
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Room:
    """Everything of `session/`, wired as in production."""

    database: Database
    pulse: Pulse
    queue: Queue
    log: Log
    leases: Leases
    directory: Directory
    outbox: Outbox
    effects: Effects
    artifacts: Artifacts
    commands: Commands
    reconciler: Reconciler

    async def person(self, name: str, role: Role = "approver") -> Person:
        """Somebody of that name and role."""
        person = await self.directory.resolve(identity(name))
        await self.directory.set_role(person.id, role)
        return person

    async def opened(self, by: Person, text: str = "Fix the login page") -> SessionView:
        """A new session of theirs, in which routing is under way."""
        return await self.commands.open_session(prompt(by, text), ORIGIN)

    async def queued(self, by: Person) -> SessionView:
        """A session whose repository is known."""
        view = await self.opened(by)
        chosen = e.RepositoryChosen(slug="acme/web", branch="main", how="model", reason="it says so")
        return await self.commands.choose_repository(view.id, chosen)

    async def running(self, by: Person) -> SessionView:
        """A session whose turn has begun; nobody holds its lease."""
        view = await self.queued(by)
        return await self.begin(view.id)

    async def begin(self, session_id: str) -> SessionView:
        """The turn of the first waiting prompt begins."""
        view = await self.log.view(session_id)
        prompt_id = view.waiting_prompts[0].prompt.id
        started = e.TurnStarted(turn_id=f"turn-{next(_numbers)}", prompt_id=prompt_id, model="m", epoch=1)
        ready = e.SandboxReady(backend="local", isolation="none", box="b", image="i")
        return await self.log.record(session_id, lambda _: [started, ready])

    async def finish(self, session_id: str) -> SessionView:
        """The turn ends well."""
        return await self.log.record(
            session_id, lambda view: [e.TurnFinished(turn_id=turn_id(view), summary="Done.")]
        )

    async def fail(self, session_id: str) -> SessionView:
        """The turn ends badly."""
        return await self.log.record(
            session_id, lambda view: [e.TurnFailed(turn_id=turn_id(view), cause="it broke", advice="retry")]
        )

    async def ask(
        self,
        session_id: str,
        kind: e.ApprovalKind = "pull_request",
        *,
        blocking: bool = True,
        minutes: float = 30,
        head_sha: str | None = None,
        excluded: tuple[str, ...] = (),
        subject: str = "",
    ) -> str:
        """The id of an approval that is now asked for."""
        request = e.ApprovalRequested(
            approval_id=f"approval-{next(_numbers)}",
            kind=kind,
            title="Open a pull request?",
            detail="3 files",
            digest="d1",
            head_sha=head_sha,
            policy_version="1",
            expires_at=await self.database.clock() + timedelta(minutes=minutes),
            blocking=blocking,
            excluded=excluded,
            subject=subject,
            turn_id=turn.turn_id if (turn := (await self.log.view(session_id)).turn) else None,
        )
        await self.log.record(session_id, lambda _: [request])
        return request.approval_id


def always(*events: e.Event) -> Callable[[SessionView], list[e.Event]]:
    """A decision for just these events."""
    return lambda _: list(events)


async def eventually(ask: Callable[[], Awaitable[T | None]], seconds: float = 60.0) -> T:
    """What `ask` gives once it gives something; it is asked again until then. Raises: TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await ask()
            if answer is not None and answer is not False:
                return answer
            await asyncio.sleep(0.01)


async def tick(database: Database) -> None:
    """Return at a later time of the database than it is now.

    SQLite's clock counts whole milliseconds, and what happens within one has no order.
    """
    now = await database.clock()
    while await database.clock() == now:
        pass


def turn_id(view: SessionView) -> str:
    """The id of the session's turn."""
    assert view.turn is not None
    return view.turn.turn_id
