"""Tools of tool servers as they were when they were accepted: all else is asked about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from session.database import Database, Row, Transaction, when

BY_CATALOGUE = "catalogue"
"""Who accepts the tools that a server has when it is first seen: whoever wrote it into the catalogue."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A tool as it was accepted. `digest` is over all that the model is told of it."""

    tool: str
    digest: str
    description: str
    accepted_at: datetime
    accepted_by: str


class McpPins:
    """The accepted tools, by repository and server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, repository: str, server: str) -> Mapping[str, Pin]:
        """What is accepted of that server, by tool; empty before it was first seen. Raises: DatabaseDown."""
        rows = await self._database.rows(
            "SELECT tool, digest, description, accepted_at, accepted_by FROM mcp_tools "
            "WHERE repository = ? AND server = ?",
            repository,
            server,
        )
        return {row["tool"]: _pin(row) for row in rows}

    async def accept_first(self, repository: str, server: str, tools: Mapping[str, tuple[str, str]]) -> bool:
        """Accept `tools` (digest and description by name) if the server was never seen; False if it was.

        Raises: DatabaseDown.
        """

        async def work(transaction: Transaction) -> bool:
            seen = await transaction.rows(
                "SELECT tool FROM mcp_tools WHERE repository = ? AND server = ? LIMIT 1", repository, server
            )
            if seen:
                return False
            for tool, (digest, description) in tools.items():
                await _insert(
                    transaction, (repository, server, tool, digest, description, BY_CATALOGUE), "NOTHING"
                )
            return True

        return await self._database.run(work)

    async def accept(
        self, repository: str, server: str, tool: str, digest: str, description: str, by: str
    ) -> None:
        """Accept that tool as it is now, instead of how it was before. Raises: DatabaseDown."""

        async def work(transaction: Transaction) -> None:
            await _insert(transaction, (repository, server, tool, digest, description, by), _NEWEST)

        await self._database.run(work)


_NEWEST = (
    "UPDATE SET digest = excluded.digest, description = excluded.description, "
    "accepted_at = excluded.accepted_at, accepted_by = excluded.accepted_by"
)


async def _insert(transaction: Transaction, values: tuple[str, ...], conflict: str) -> None:
    await transaction.execute(
        "INSERT INTO mcp_tools (repository, server, tool, digest, description, accepted_by, accepted_at) "
        f"VALUES (?, ?, ?, ?, ?, ?, {transaction.now}) "
        f"ON CONFLICT (repository, server, tool) DO {conflict}",
        *values,
    )


def _pin(row: Row) -> Pin:
    return Pin(row["tool"], row["digest"], row["description"], when(row["accepted_at"]), row["accepted_by"])
