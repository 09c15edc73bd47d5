"""What keeps work from leaving, in the record: told once, and taken back when it is over."""

from __future__ import annotations

from collections.abc import Iterable

from session.events import HoldsLifted, WorkHeldBack
from session.view import SessionView
from session.vocabulary import Hold


def held_back(view: SessionView, holds: Iterable[Hold], *, saved: bool) -> list[WorkHeldBack]:
    """What to record when those keep the work back; nothing of what was told before and still stands.

    saved: the work is kept outside of its box too.
    """
    known = {hold.key for hold in view.held_back}
    new = tuple(hold for hold in holds if hold.key not in known)
    return [WorkHeldBack(holds=new, saved=saved)] if new else []


def all_lifted(view: SessionView) -> list[HoldsLifted]:
    """What to record when there is nothing any more that could be kept back."""
    return [HoldsLifted(holds=view.held_back)] if view.held_back else []


def lifted(view: SessionView, still: Iterable[Hold]) -> list[HoldsLifted]:
    """What to record when all commits were looked through and only `still` was found in them.

    What was not published for another reason stays until it is.
    """
    found = {hold.key for hold in still}
    over = tuple(h for h in view.held_back if h.kind != "publication" and h.key not in found)
    return [HoldsLifted(holds=over)] if over else []
