"""How Slack says no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

ORDINARY = frozenset(
    {"already_reacted", "no_reaction", "message_not_found", "cant_update_message", "cant_delete_message"}
    | {"channel_not_found", "thread_not_found", "not_in_channel", "user_not_found", "user_not_in_channel"}
    | {"file_not_found", "bot_not_found", "expired_trigger_id", "exchanged_trigger_id", "view_not_found"}
    | {"hash_conflict"}
    | {"unknown_method", "ratelimited", "message_not_in_streaming_state"}
    | {"streaming_state_conflict", "account_inactive"}
)
"""Answers a correct client may get, because the world changed under it. All others are its own fault."""


class Refused(Exception):
    """Slack would answer `{"ok": false, "error": error}`; `detail` says which rule was broken."""

    def __init__(self, error: str, detail: str = "", extra: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{error}: {detail}" if detail else error)
        self.error = error
        self.detail = detail
        self.extra = dict(extra or {})

    @property
    def is_violation(self) -> bool:
        """Whether the caller broke a rule, as opposed to meeting a state of the world."""
        return self.error not in ORDINARY

    def body(self) -> Json:
        """The answer's body."""
        notes = {"response_metadata": {"messages": [f"[ERROR] {self.detail}"]}} if self.detail else {}
        return {"ok": False, "error": self.error, **notes, **self.extra}
