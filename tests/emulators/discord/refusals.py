"""How Discord says no.

Source: https://docs.discord.com/developers/topics/opcodes-and-status-codes and .../reference#error-messages
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

UNKNOWN_CHANNEL = 10003
UNKNOWN_GUILD = 10004
UNKNOWN_MEMBER = 10007
UNKNOWN_MESSAGE = 10008
UNKNOWN_USER = 10013
UNKNOWN_EMOJI = 10014
UNKNOWN_WEBHOOK = 10015
UNKNOWN_INTERACTION = 10062
ALREADY_ACKNOWLEDGED = 40060
MISSING_ACCESS = 50001
NOT_YOURS = 50005
CANNOT_MESSAGE_USER = 50007
MISSING_PERMISSIONS = 50013
WRONG_CHANNEL_TYPE = 50024
INVALID_TOKEN_OF_WEBHOOK = 50027
INVALID_FORM = 50035
ARCHIVED = 50083
THREAD_EXISTS = 160004
LOCKED = 160005

_FAULTS = frozenset({0, NOT_YOURS, INVALID_FORM, WRONG_CHANNEL_TYPE})
"""Answers that a correct client never gets. The others can be met because the world changed under it."""


class Refused(Exception):
    """Discord would answer with `status` and its error `code`; `errors` says which fields are wrong."""

    def __init__(
        self, status: int, code: int, message: str, errors: Mapping[str, tuple[str, str]] | None = None
    ) -> None:
        details = "; ".join(f"{path}: {said}" for path, (_, said) in (errors or {}).items())
        super().__init__(f"{status} {code} {message}" + (f" ({details})" if details else ""))
        self.status = status
        self.code = code
        self.message = message
        self.errors = dict(errors or {})

    @property
    def is_violation(self) -> bool:
        """Whether the caller broke a rule, as opposed to meeting a state of the world."""
        return self.code in _FAULTS

    def body(self) -> Json:
        """The answer's body."""
        body: Json = {"message": self.message, "code": self.code}
        for path, (code, said) in self.errors.items():
            spot = body.setdefault("errors", {})
            for part in path.split("."):
                spot = spot.setdefault(part, {})
            spot.setdefault("_errors", []).append({"code": code, "message": said})
        return body


def invalid(path: str, code: str, said: str) -> Refused:
    """A field that breaks a rule."""
    return Refused(400, INVALID_FORM, "Invalid Form Body", {path: (code, said)})


def unknown(code: int, what: str) -> Refused:
    """Something that is not there."""
    return Refused(404, code, f"Unknown {what}")


def forbidden(code: int = MISSING_PERMISSIONS, said: str = "Missing Permissions") -> Refused:
    """Something that the bot may not."""
    return Refused(403, code, said)
