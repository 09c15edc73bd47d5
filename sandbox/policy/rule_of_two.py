"""The rule of two: who has read what strangers wrote and holds what is private does not reach out alone."""

from __future__ import annotations

from session.catalogue import Repository
from session.view import SessionView


def needs_a_person(view: SessionView, repository: Repository) -> bool:
    """Whether what reaches beyond the session's own thread and a draft needs somebody's approval."""
    return bool(view.untrusted) and not repository.public
