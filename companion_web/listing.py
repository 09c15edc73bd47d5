"""The front page: sessions, newest change first, and the box that starts another."""

from __future__ import annotations

from datetime import datetime
from typing import get_args
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from companion_web.door import Door, Form
from companion_web.fragments import Fragments
from companion_web.visitors import Visitor
from companion_web.wording import STATES, WAITING_FOR_PEOPLE
from session.access import reaches
from session.listing import SessionFilter
from session.log import Log
from session.view import State

ROWS = 50
_STATES: frozenset[str] = frozenset(get_args(State))


class Listing:
    """Lists sessions by state, person, repository and words of the title."""

    def __init__(self, log: Log, fragments: Fragments, door: Door) -> None:
        self._log = log
        self._fragments = fragments
        self._door = door

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """The page; with `?rows` only the list, for the script that keeps it fresh."""
        return await self._show(request, visitor)

    async def refused(
        self, request: Request, visitor: Visitor, form: Form, sentence: str, status: int
    ) -> Response:
        """The page with the sentence that says why no session was opened."""
        return await self._show(request, visitor, sentence, status)

    async def _show(self, request: Request, visitor: Visitor, said: str = "", status: int = 200) -> Response:
        asked = self._filter(request, visitor)
        rows = await self._log.sessions(asked)
        filtered = bool(asked.states or asked.person or asked.repository or asked.text)
        if "rows" in request.query_params:
            return HTMLResponse(self._fragments.page("rows.html", rows=rows, filtered=filtered))
        html = self._fragments.page(
            "sessions.html",
            **{
                **self._door.context(request, visitor),
                "rows": rows,
                "filtered": filtered,
                "asked": asked,
                "states": STATES,
                "chosen_state": request.query_params.get("state", ""),
                "people": sorted({(row.requester_id, row.requester_name) for row in rows} - {_pair(visitor)}),
                "next_before": _older(request, rows[-1].updated_at) if len(rows) == ROWS else "",
                "said": said,
            },
        )
        return HTMLResponse(html, status)

    def _filter(self, request: Request, visitor: Visitor) -> SessionFilter:
        given = request.query_params
        state = given.get("state", "")
        person = visitor.person.id if given.get("person") == "me" else given.get("person") or None
        states: tuple[State, ...] | None = None
        if state == "waiting":
            states = WAITING_FOR_PEOPLE
            if not reaches(visitor.role, "approver"):
                person = visitor.person.id
        elif state in _STATES:
            states = tuple(known for known in get_args(State) if known == state)
        return SessionFilter(
            states=states,
            person=person,
            repository=given.get("repository") or None,
            text=given.get("text", "")[:200] or None,
            limit=ROWS,
            before=_moment(given.get("before", "")),
        )


def _pair(visitor: Visitor) -> tuple[str, str]:
    return visitor.person.id, visitor.person.name


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _older(request: Request, before: datetime) -> str:
    kept = {key: value for key, value in request.query_params.items() if key not in ("before", "rows")}
    return "/?" + urlencode({**kept, "before": before.isoformat()})
