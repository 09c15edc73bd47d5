"""The effects ledger: each outside effect is written down before and after it happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from session.database import Database


@dataclass(frozen=True, slots=True)
class Effect:
    """One outside effect, by the key of the operation.

    state: "new": nobody has tried; go ahead. "begun": an earlier try may have happened: look at the remote
    before acting. "done": `result` holds what it gave.
    """

    op_key: str
    state: Literal["new", "begun", "done"]
    result: str | None = None


class Effects:
    """The ledger of outside effects (branch pushed, pull request opened, message sent)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, op_key: str, session_id: str, epoch: int | None = None) -> Effect:
        """What is known of the operation, its intent being on record afterwards.

        Raises: StaleEpoch (session/log.py), when `epoch` is not that of the session's live lease.
        """
        raise NotImplementedError

    async def finish(self, op_key: str, result: str) -> None:
        """Record that it happened, and what it gave. A second call with another result is ignored."""
        raise NotImplementedError
