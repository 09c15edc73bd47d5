"""How events make a session's state: a pure fold.

`apply(view, recorded)` gives the next view; it reads no clock and no database, so old state plus new events
is always the same as a fresh fold.
"""

from __future__ import annotations

from collections.abc import Iterable

from session import decision_rules, prompt_rules, turn_rules  # noqa: F401  (they register their rules)
from session import events as e
from session.rules import FoldError, changed, rule
from session.view import SessionView

__all__ = ["FoldError", "apply", "fold"]


def fold(records: Iterable[e.Recorded], view: SessionView | None = None) -> SessionView:
    """The view after all `records`, starting from `view` or from nothing.

    Raises: FoldError, when a record is not the one that follows.
    """
    for record in records:
        view = apply(view, record)
    if view is None:
        raise FoldError("there are no events to fold")
    return view


def apply(view: SessionView | None, record: e.Recorded) -> SessionView:
    """The view after one more event.

    Raises: FoldError, when the record is not the one that follows `view`.
    """
    if view is None:
        return _opened(record)
    if record.seq != view.seq + 1 or record.session_id != view.id:
        raise FoldError(f"event {record.seq} of session {record.session_id} does not follow event {view.seq}")
    after = rule(record.event, view, record)
    if view.archived:  # what comes late is kept, but wakes nothing
        after = changed(after, state="archived")
    return after.model_copy(update={"seq": record.seq, "updated_at": record.at})


def _opened(record: e.Recorded) -> SessionView:
    event = record.event
    if not isinstance(event, e.SessionOpened) or record.seq != 1:
        raise FoldError(f"session {record.session_id} does not begin with SessionOpened")
    return SessionView(
        id=record.session_id,
        seq=record.seq,
        state="routing",
        title=event.title,
        origin=event.origin,
        requester=event.requester,
        created_at=record.at,
        updated_at=record.at,
        begun_with=event.begun_with,
    )
