"""A PostgreSQL database that one test after the other is lent: emptying it is far quicker than making one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import asyncpg

from tests.provision.postgres import PostgresServer

_END_MILLISECONDS = 60_000
_CATALOGUES = (
    "pg_class",
    "pg_attribute",
    "pg_trigger",
    "pg_proc",
    "pg_constraint",
    "pg_type",
    "pg_namespace",
    "tortoise_migrations",
)

# Whatever changes a table, a trigger or a right leaves a newer transaction or another number of rows there.
_SHAPE = " UNION ALL ".join(
    f"SELECT '{name}', count(*), max(xmin::text::bigint) FROM {name}" for name in _CATALOGUES
)
_CUT_OTHERS = (
    f"SELECT pg_terminate_backend(pid, {_END_MILLISECONDS}) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'tortoise_migrations'"
_COUNT_ANEW = "SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'"

# What a test leaves behind that cuts every connection, ours too.
_CUT_OFF = (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError)


class LentDatabase:
    """A copy of the database at the address `template`; there is one at a time.

    Whoever had it may leave rows and connections. One whose tables were changed, or with rows that nobody can
    delete, such as those of the audit, is dropped, and the next borrower gets a new one.
    """

    def __init__(self, server: PostgresServer, template: str) -> None:
        self._server = server
        self._template = template
        self._loop = asyncio.new_event_loop()
        self._kept: _Kept | None = None

    @contextmanager
    def lent(self) -> Iterator[str]:
        """Its address; it has this version's tables and no rows."""
        if self._kept is None:
            url = self._server.create_database(like=self._template)
            self._kept = self._loop.run_until_complete(_Kept.open(url))
        yield self._kept.url
        if not self._loop.run_until_complete(self._kept.emptied()):
            self._server.drop_database(self._kept.url)
            self._kept = None

    def close(self) -> None:
        """The database ends with its server."""
        if self._kept is not None:
            self._loop.run_until_complete(self._kept.close())
        self._loop.close()


class _Kept:
    """The database at `url`, and a connection to it."""

    def __init__(self, url: str, connection: asyncpg.Connection, shape: list[asyncpg.Record]) -> None:
        self.url = url
        self._connection = connection
        self._shape = shape
        self._used = ""

    @classmethod
    async def open(cls, url: str) -> _Kept:
        """Connected to a database as its template was."""
        connection = await asyncpg.connect(url)
        kept = cls(url, connection, await connection.fetch(_SHAPE))
        tables = [row["tablename"] for row in await connection.fetch(_TABLES)]
        kept._used = " UNION ALL ".join(
            f"SELECT '{table}' AS name WHERE EXISTS (SELECT FROM {table})" for table in tables
        )
        return kept

    async def emptied(self) -> bool:
        """Whether it is as it was; if it is not, it is closed."""
        with suppress(*_CUT_OFF):
            await self._connection.fetch(_CUT_OTHERS)
            if await self._connection.fetch(_SHAPE) == self._shape and await self._without_rows():
                return True
        await self.close()
        return False

    async def _without_rows(self) -> bool:
        used = [row["name"] for row in await self._connection.fetch(self._used)]
        # Foreign keys and most triggers rest meanwhile.
        steps = ["SET LOCAL session_replication_role = replica", *(f"DELETE FROM {name}" for name in used)]
        try:
            async with self._connection.transaction():
                await self._connection.execute("; ".join([*steps, _COUNT_ANEW]))
        except asyncpg.RaiseError:  # what a trigger says that keeps rows
            return False
        return True

    async def close(self) -> None:
        """End the connection."""
        await self._connection.close()
