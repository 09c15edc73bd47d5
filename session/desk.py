"""What every command needs: the newest view, the person's role, a worker woken afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from session.access import Actor
from session.catalogue import Catalogue
from session.database import DatabaseDown
from session.directory import Directory
from session.events import Event
from session.inbox import Claim
from session.leases import Leases
from session.listing import need
from session.log import Log, NoSuchSession
from session.parts import look_for_queue, queue_away
from session.people import Person
from session.preferences import PreferenceBook, Preferences
from session.queue import Enqueued, Queue
from session.refusals import NotFound, Refusal
from session.view import SessionView

_log = structlog.get_logger(__name__)

MAX_PROMPT_CHARACTERS = 50_000
"""Longest prompt taken: about 12,000 tokens, which leaves a model room to work in."""

Decide = Callable[[SessionView], Sequence[Event]]


class Desk:
    """The parts commands are made with. `preferences` None: of nobody a preference is known."""

    def __init__(
        self,
        log: Log,
        queue: Queue,
        directory: Directory,
        leases: Leases,
        catalogue: Catalogue,
        preferences: PreferenceBook | None = None,
    ) -> None:
        self._log = log
        self._queue = queue
        self._directory = directory
        self._leases = leases
        self._catalogue = catalogue
        self._preferences = preferences

    async def _actor(self, person: Person) -> Actor:
        ids = await self._directory.ids(person.id)
        return Actor(person, await self._directory.role(person.id), frozenset({person.id, *ids}))

    async def _preferred(self, person: Person) -> Preferences:
        return await self._preferences.of(person.id) if self._preferences else Preferences()

    async def _record(self, session_id: str, decide: Decide, claim: Claim | None) -> SessionView:
        """The view after the decision, a worker being woken when it needs one. Raises: NotFound."""
        try:
            view = await self._log.record(session_id, decide, claim=claim)
        except NoSuchSession as error:
            raise unknown_session() from error
        await self._drive(view)
        return view

    async def _drive(self, view: SessionView) -> None:
        """Ring for a worker. What goes wrong here is made good by the reconciler: the log has it already.

        Emits: PartDegraded when the queue does not answer, PartRecovered when it does again.
        """
        if need(view) is None:
            return
        try:
            view = await look_for_queue(self._log, self._queue, view)
            if await self._ring(view) == "unreachable":
                await self._log.record(view.id, queue_away)
        except DatabaseDown as error:
            _log.warning("worker_not_woken", session_id=view.id, error=str(error))

    async def _ring(self, view: SessionView) -> Enqueued | None:
        """What the queue said; None when a worker has the session, or none is needed."""
        wanted = need(view)
        if wanted == "read":
            return await self._queue.enqueue("read_words", view.id, view.seq)
        if wanted == "route":
            return await self._queue.enqueue("route_session", view.id, view.seq)
        if wanted == "merge":
            return await self._queue.enqueue("merge_pull_request", view.id, view.seq)
        if wanted == "turn" and not await self._leases.held(view.id):
            return await self._queue.enqueue("run_turn", view.id, await self._leases.next_epoch(view.id))
        return None


def unknown_session() -> NotFound:
    """The refusal for a session that is not there."""
    return NotFound("I cannot find that session. Mention me in a new message and I will start a fresh one.")


def check_text(text: str, *, alone: bool = True) -> None:
    """Let a prompt's text pass. alone: nothing else (a file) comes with it. Raises: Refusal."""
    if alone and not text.strip():
        raise Refusal("Your message is empty. Tell me in a sentence or two what you would like done.")
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise Refusal(
            f"Your message has {len(text):,} characters; I can take {MAX_PROMPT_CHARACTERS:,}. "
            "Please shorten it, or attach the long part as a file."
        )


def titled(text: str, length: int = 80) -> str:
    """A session's first title: the first line of its prompt, cut at a word."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "New request")
    if len(line) <= length:
        return line
    cut = line[: length - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut[length // 2 :] else cut).rstrip() + "…"
