"""What a person asks by a command of the platform: how things stand here, and which sessions are theirs."""

from __future__ import annotations

from bot import sentences
from bot.card import session_url
from bot.counter import Counter
from bot.messages import Inquiry
from session.listing import SessionFilter, SessionRow
from session.log import Log
from session.people import Person
from session.refusals import NotAllowed, NotFound
from session.view import State

SESSIONS_LISTED = 10


async def my_sessions(log: Log, person: Person, states: tuple[State, ...] | None = None) -> list[SessionRow]:
    """The newest sessions that the person opened or prompted in. `states`: only these; None: any."""
    return await log.sessions(SessionFilter(states=states, person=person.id, limit=SESSIONS_LISTED))


class Overview:
    """Answers inquiries, and stops the session of a thread where that is the wish.

    Its methods raise Refusal, AlreadyClaimed, NoSuchSession and DatabaseDown.
    """

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    async def asked(self, inquiry: Inquiry) -> str:
        """What to tell the person, who alone sees it."""
        if inquiry.author.guest and inquiry.name != "status":
            raise NotAllowed(sentences.refusals.GUEST)
        if inquiry.name == "sessions":
            return await self.sessions(await self._counter.directory.resolve(inquiry.author))
        session_id = await self._counter.session_in(inquiry.place)
        if session_id is None:
            raise NotFound(sentences.overview.NO_SESSION_HERE)
        if inquiry.name == "status":
            view = await self._counter.log.view(session_id)
            return sentences.overview.overview(view, self._page(session_id))
        person = await self._counter.directory.resolve(inquiry.author)
        claim = self._counter.claim_event(inquiry.event_id)
        await self._counter.commands.stop(session_id, person, claim=claim)
        return sentences.overview.STOPPING

    async def sessions(self, person: Person) -> str:
        """The person's sessions, a line each."""
        rows = await my_sessions(self._counter.log, person)
        if not rows:
            return sentences.overview.NO_SESSIONS
        return "\n".join(
            sentences.overview.listed(row.title, row.state, row.repository, self._page(row.id))
            for row in rows
        )

    def _page(self, session_id: str) -> str:
        return session_url(self._counter.public_url, session_id) if self._counter.public_url else ""
