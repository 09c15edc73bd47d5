"""`/s/<session>/events`: the session's page kept up to date over server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response

from companion_web.door import problem
from companion_web.rooms import Dropped, Room, Rooms
from companion_web.visitors import Visitor

HEARTBEAT_SECONDS = 15
STALLED_SECONDS = 30
"""A client that takes no byte for this long is let go; it resumes when it is back."""

RETRY_MILLISECONDS = 1_000


class Stream:
    """Streams sessions.

    Each `change` message carries the sequence of its event as id: a client that reconnects with
    `Last-Event-ID`, or comes with `?after=` from a page that shows everything up to there, gets exactly what
    follows. Token deltas carry no id; on every connection the unfinished message comes first and whole.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def events(self, request: Request, visitor: Visitor) -> Response:
        """The stream. Raises: NoSuchSession."""
        given = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
        if not given.isdecimal() or len(given) > 12:
            return problem(400, "Bad position", "Last-Event-ID and ?after= are sequence numbers.")
        room = await self._rooms.enter(request.path_params["session_id"])
        return EventSourceResponse(
            messages(room, int(given)),
            ping=HEARTBEAT_SECONDS,
            send_timeout=STALLED_SECONDS,
            sep="\n",
        )


async def messages(room: Room, after: int) -> AsyncIterator[bytes]:
    """What a client that has everything up to event `after` is sent, several messages at a time."""
    with room.seat(after) as seat:
        frames = room.catch_up(seat)
        yield b"retry: %d\n\n" % RETRY_MILLISECONDS + b"".join(frame.body for frame in frames)
        while True:
            try:
                frames = await room.next_frames(seat)
            except Dropped:
                return
            yield b"".join(frame.body for frame in frames)
