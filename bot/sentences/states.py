"""The states of a session, as people read them."""

from __future__ import annotations

from session.view import SessionView, State

STATES: dict[State, str] = {
    "routing": "Finding the repository",
    "awaiting_repository": "Waiting for you: which repository?",
    "queued": "In line",
    "starting": "Getting a sandbox ready",
    "running": "Working",
    "awaiting_approval": "Waiting for your approval",
    "awaiting_answer": "Waiting for your answer",
    "paused": "Paused, goes on by itself",
    "idle": "Done",
    "stopped": "Stopped",
    "failed": "Failed",
    "archived": "Closed",
}


def state_words(view: SessionView) -> str:
    """The state as people read it."""
    if view.stop_requested is not None and (view.turn_open or view.state in ("routing", "queued")):
        return "Stopping"
    if view.state == "idle" and view.open_approvals:
        return "Done, and one thing waits for your approval"
    return STATES[view.state]
