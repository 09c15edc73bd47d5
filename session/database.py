"""The database: one connection pool, its clock, its transactions, its migrations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Self, TypeVar

T = TypeVar("T")
Row = Mapping[str, Any]


class DatabaseDown(Exception):
    """The database does not answer; what was asked may be tried again."""


class Transaction:
    """SQL inside one transaction; `?` stands for a parameter on every database."""

    async def rows(self, sql: str, *parameters: object) -> list[Row]:
        """The rows the query gives."""
        raise NotImplementedError

    async def execute(self, sql: str, *parameters: object) -> int:
        """How many rows the statement changed."""
        raise NotImplementedError


class Database:
    """A SQLite file or a PostgreSQL database, by its address.

    `sqlite:///absolute/path.db` or `postgres://user:password@host:port/name`.
    """

    @classmethod
    async def open(cls, url: str, *, pool_size: int = 10) -> Self:
        """The database, connected. Raises: DatabaseDown."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Finish what is under way and close every connection."""

    async def migrate(self) -> None:
        """Bring the tables up to this version; several processes may call it at once."""
        raise NotImplementedError

    async def clock(self) -> datetime:
        """The database's own time (UTC): the only clock that leases, expiry and events go by."""
        raise NotImplementedError

    async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """What `work` returns, carried out in one transaction: all of it happens or none of it.

        Raises: DatabaseDown, and whatever `work` raises (which rolls back).
        """
        raise NotImplementedError

    async def rows(self, sql: str, *parameters: object) -> list[Row]:
        """The rows of one query outside a transaction. Raises: DatabaseDown."""
        raise NotImplementedError

    async def execute(self, sql: str, *parameters: object) -> int:
        """How many rows one statement changed. Raises: DatabaseDown."""
        raise NotImplementedError
