"""The effects ledger: each outside effect is written down before and after it happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from session.database import Database, Transaction
from session.leases import check_epoch


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

    async def known(self, op_key: str) -> Effect:
        """What is known of the operation, nothing being put on record. Raises: DatabaseDown."""
        rows = await self._database.rows("SELECT result FROM effects WHERE op_key = ?", op_key)
        return _known(op_key, rows[0]["result"]) if rows else Effect(op_key, "new")

    async def begin(self, op_key: str, session_id: str, epoch: int | None = None) -> Effect:
        """What is known of the operation, its intent being on record afterwards.

        Raises: StaleEpoch, when `epoch` is not that of the session's live lease; DatabaseDown.
        """

        async def work(transaction: Transaction) -> Effect:
            if epoch is not None:
                await transaction.rows(
                    f"SELECT id FROM sessions WHERE id = ? {transaction.for_update}", session_id
                )
                await check_epoch(transaction, session_id, epoch)
            begun = await transaction.execute(
                f"INSERT INTO effects (op_key, session_id, begun_at) VALUES (?, ?, {transaction.now}) "
                "ON CONFLICT (op_key) DO NOTHING",
                op_key,
                session_id,
            )
            if begun:
                return Effect(op_key, "new")
            rows = await transaction.rows("SELECT result FROM effects WHERE op_key = ?", op_key)
            return _known(op_key, rows[0]["result"])

        return await self._database.run(work)

    async def finish(self, op_key: str, result: str) -> None:
        """Record that it happened, and what it gave. A second call with another result is ignored.

        Raises: DatabaseDown.
        """

        async def work(transaction: Transaction) -> None:
            await transaction.execute(
                f"UPDATE effects SET result = ?, finished_at = {transaction.now} "
                "WHERE op_key = ? AND result IS NULL",
                result,
                op_key,
            )

        await self._database.run(work)


def _known(op_key: str, result: str | None) -> Effect:
    return Effect(op_key, "begun" if result is None else "done", result)
