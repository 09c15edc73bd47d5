"""What the bot's own page shows a person now, from the record."""

from __future__ import annotations

from collections.abc import Sequence

from bot.card import session_url
from bot.counter import Counter
from bot.home_view import Home, HomeSession
from bot.overview import my_sessions
from session.listing import SessionRow
from session.people import Identity
from session.view import State

WAITING: tuple[State, ...] = ("awaiting_repository", "awaiting_approval", "awaiting_answer")
RUNNING: tuple[State, ...] = ("routing", "queued", "starting", "running", "paused")


async def home_of(counter: Counter, author: Identity) -> Home:
    """The page of that person as it is now. Raises: DatabaseDown."""
    if author.guest:
        return Home(guest=True)
    person = await counter.directory.resolve(author)
    book = counter.customs.people
    return Home(
        waiting=_listed(await my_sessions(counter.log, person, WAITING), counter.public_url),
        running=_listed(await my_sessions(counter.log, person, RUNNING), counter.public_url),
        preferences=await book.of(person.id),
        models=book.models,
        account_page=f"{counter.public_url}/account" if counter.public_url else "",
    )


def _listed(rows: Sequence[SessionRow], public_url: str) -> tuple[HomeSession, ...]:
    return tuple(
        HomeSession(
            row.title, row.state, row.repository, session_url(public_url, row.id) if public_url else ""
        )
        for row in rows
    )
