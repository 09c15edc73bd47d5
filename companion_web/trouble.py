"""What can stand in the way of what somebody asks for, as a sentence and an HTTP status."""

from __future__ import annotations

from session.audit import AuditDown
from session.broker import BrokerDown, BrokerRefused
from session.refusals import NotAllowed, NotFound, Refusal

Trouble = Refusal | BrokerDown | BrokerRefused | AuditDown
TROUBLES = (Refusal, BrokerDown, BrokerRefused, AuditDown)
"""The same, to be caught; the message of each can be shown."""

UNAVAILABLE = 503
_AWAY = frozenset({"audit_down", "database_down", "halted"})


def trouble_status(trouble: Trouble) -> int:
    """The HTTP status that says it."""
    match trouble:
        case BrokerDown() | AuditDown():
            return UNAVAILABLE
        case BrokerRefused(kind=kind):
            return UNAVAILABLE if kind in _AWAY else 409
        case NotAllowed():
            return 403
        case NotFound():
            return 404
        case _:
            return 409
