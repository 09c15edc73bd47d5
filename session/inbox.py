"""Claims: each event of a platform causes its command once, however often it is delivered."""

from __future__ import annotations

from dataclasses import dataclass

from session.database import Transaction


@dataclass(frozen=True, slots=True)
class Claim:
    """A platform's event, claimed in the transaction of the command that it causes.

    source: the platform or the webhook ("slack", "github"). event_id: the platform's id, the only one of it
    there, whatever the workspace.
    """

    source: str
    event_id: str


class AlreadyClaimed(Exception):
    """The event has had its effect. `session_id` names the session it had it in."""

    def __init__(self, claim: Claim, session_id: str) -> None:
        super().__init__(f"{claim.source} {claim.event_id} was taken up by session {session_id}")
        self.session_id = session_id


async def take(transaction: Transaction, claim: Claim, session_id: str) -> None:
    """Claim it for that session; stands and falls with the transaction. Raises: AlreadyClaimed."""
    taken = await transaction.execute(
        f"INSERT INTO claims (source, event_id, session_id, at) VALUES (?, ?, ?, {transaction.now}) "
        "ON CONFLICT (source, event_id) DO NOTHING",
        claim.source,
        claim.event_id,
        session_id,
    )
    if not taken:
        rows = await transaction.rows(
            "SELECT session_id FROM claims WHERE source = ? AND event_id = ?", claim.source, claim.event_id
        )
        raise AlreadyClaimed(claim, rows[0]["session_id"])
