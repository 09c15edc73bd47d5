"""Notes in a session about parts that are away: made once, taken back when the part is there again."""

from __future__ import annotations

from session.events import PartDegraded, PartRecovered
from session.listing import need
from session.log import Log
from session.queue import Queue
from session.view import SessionView

_QUEUE = "job queue"
_QUEUE_AWAY = "it does not answer; work starts as soon as it is back"


def away(view: SessionView, part: str, detail: str) -> list[PartDegraded]:
    """What to record when `part` fails the session; nothing when just that is noted already."""
    noted = PartDegraded(part=part, detail=detail)
    return [] if noted in view.degraded else [noted]


def back(view: SessionView, part: str) -> list[PartRecovered]:
    """What to record when `part` serves the session; nothing when no trouble with it is noted."""
    return [PartRecovered(part=part)] if any(item.part == part for item in view.degraded) else []


def queue_away(view: SessionView) -> list[PartDegraded]:
    """What to record when no worker could be rung for; nothing when none is needed any more."""
    return away(view, _QUEUE, _QUEUE_AWAY) if need(view) else []


def queue_back(view: SessionView) -> list[PartRecovered]:
    """What to record when a worker was reached."""
    return back(view, _QUEUE)


async def look_for_queue(log: Log, queue: Queue, view: SessionView) -> SessionView:
    """The session, whose note about the queue is taken back if it answers.

    To be called before a worker is rung for: the ids of some jobs carry the session's newest seq.
    Raises: DatabaseDown. Emits: PartRecovered.
    """
    if not queue_back(view) or await queue.check() is not None:
        return view
    return await log.record(view.id, queue_back)
