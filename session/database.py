"""The database: one connection pool, its clock, its transactions, its migrations.

Tortoise keeps the tables, the migrations and the connections; the statements are SQL (ADR 0002).
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, Self, TypeVar

import asyncpg
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.base.config_generator import expand_db_url
from tortoise.context import TortoiseContext
from tortoise.exceptions import BaseORMException, DBConnectionError, OperationalError
from tortoise.migrations.executor import MigrationExecutor

from session.file_lock import file_lock

T = TypeVar("T")
Row = Mapping[str, Any]

_APPS = {
    "session": {
        "models": [
            "session.tables",
            "session.box_tables",
            "session.pick_table",
            "session.preference_tables",
            "session.slack_tables",
        ],
        "migrations": "session.migrations",
        "default_connection": "default",
    }
}
TORTOISE_ORM: dict[str, dict[str, Any]] = {"connections": {"default": "sqlite://:memory:"}, "apps": _APPS}
"""For writing migrations: `python -m tortoise -c session.database.TORTOISE_ORM makemigrations`."""

_FEWEST = {"session": {"models": ["session.pick_table"], "default_connection": "default"}}
"""What a connection needs. Statements are SQL, and migrations say all they need themselves: the models would
be described for nobody, which takes longer than connecting. Tortoise insists on one."""

_MIGRATION_LOCK = 0x62656C6C686F70
"""Key of PostgreSQL's advisory lock under which tables are changed: "bellhop" in ASCII."""

_IDLE, _IDLE_SECONDS = "idle_in_transaction_session_timeout", 5
"""A process that is frozen, or cut off, in the middle of a transaction holds a session's row no longer."""

_SQLITE_BUSY_MILLISECONDS = 15_000
_SQLITE_DOWN = frozenset(
    {"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_CANTOPEN", "SQLITE_READONLY"}
)
_POSTGRES_DOWN = (
    OSError,
    TimeoutError,
    DBConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InsufficientResourcesError,
)


class DatabaseDown(Exception):
    """The database does not answer; what was asked may be tried again."""


class Transaction:
    """SQL inside one transaction; `?` stands for a parameter on every database."""

    def __init__(self, client: BaseDBAsyncClient, *, postgres: bool) -> None:
        self._client = client
        self._postgres = postgres
        self.for_update = "FOR NO KEY UPDATE" if postgres else ""
        self.now = _CLOCK_POSTGRES if postgres else _CLOCK_SQLITE

    async def rows(self, sql: str, *parameters: object) -> list[Row]:
        """The rows the query gives."""
        statement, values = self._prepare(sql, parameters)
        return list(await self._client.execute_query_dict(statement, values))

    async def execute(self, sql: str, *parameters: object) -> int:
        """How many rows the statement changed."""
        if sql.startswith("INSERT"):  # asyncpg's answer to INSERT is not the count that Tortoise takes it for
            return len(await self.rows(f"{sql} RETURNING 1", *parameters))
        statement, values = self._prepare(sql, parameters)
        return (await self._client.execute_query(statement, values))[0]

    async def clock(self) -> datetime:
        """The database's own time."""
        return when((await self.rows(f"SELECT {self.now} AS now"))[0]["now"])

    def _prepare(self, sql: str, parameters: Sequence[object]) -> tuple[str, list[object]]:
        if self._postgres:
            return _numbered(sql), list(parameters)
        return sql, [_sqlite_value(value) for value in parameters]


class Database:
    """A SQLite file or a PostgreSQL database, by its address.

    `sqlite:///absolute/path.db` or `postgres://user:password@host:port/name`. Use `open`, then `aclose`.
    """

    def __init__(self, context: TortoiseContext, variables: contextvars.Context, url: str) -> None:
        self._context = context
        self._variables = variables
        self._client = context.db()
        self._path = None if _is_postgres(url) else Path(url.removeprefix("sqlite://"))
        self._direct = Transaction(self._client, postgres=self.postgres)
        self._under_way: set[asyncio.Task[Any]] = set()

    @property
    def postgres(self) -> bool:
        """Whether this is PostgreSQL."""
        return self._path is None

    @classmethod
    async def open(cls, url: str, *, pool_size: int = 10) -> Self:
        """The database, connected. Raises: DatabaseDown."""
        connection = expand_db_url(url)
        if _is_postgres(url):
            connection["credentials"].update(
                minsize=1, maxsize=pool_size, server_settings={_IDLE: f"{_IDLE_SECONDS}s"}
            )
        else:
            await _make_directory(Path(url.removeprefix("sqlite://")).parent)
            pragmas = {"busy_timeout": _SQLITE_BUSY_MILLISECONDS, "synchronous": "FULL", "foreign_keys": "ON"}
            connection["credentials"].update(pragmas)
        context = TortoiseContext()
        variables = contextvars.copy_context()
        variables.run(context.__enter__)
        config = {"connections": {"default": connection}, "apps": _FEWEST}
        await asyncio.create_task(context.init(config), context=variables.copy())
        database = cls(context, variables, url)
        try:
            await database.rows("SELECT 1 AS one")
        except DatabaseDown:
            await context.close_connections()
            raise
        return database

    async def aclose(self) -> None:
        """Finish what is under way and close every connection."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        await self._context.close_connections()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def migrate(self) -> None:
        """Bring the tables up to this version; several processes may call it at once.

        A role that may not change tables gets by where there is nothing to change.
        Raises: DatabaseDown.
        """
        async with self._alone():
            with _translated(self.postgres):
                await asyncio.create_task(self._migrate(), context=self._variables.copy())

    async def _migrate(self) -> None:
        executor = MigrationExecutor(self._client, _APPS)
        if not await executor.plan():
            return
        try:
            await MigrationExecutor(self._client, _APPS).migrate()
        except OperationalError as error:
            if not isinstance(error.__cause__, asyncpg.InsufficientPrivilegeError):
                raise
            raise DatabaseDown(
                "this role may not change the database's tables, which are of an earlier version: run "
                "`bellhop migrate` with the owner's DATABASE_URL"
            ) from error

    async def migrated(self) -> bool:
        """Whether the tables are of this version. Raises: DatabaseDown."""
        async with self._alone():
            with _translated(self.postgres):
                plan = MigrationExecutor(self._client, _APPS).plan()
                return not await asyncio.create_task(plan, context=self._variables.copy())

    async def clock(self) -> datetime:
        """The database's own time (UTC): the only clock that leases, expiry and events go by."""
        with _translated(self.postgres):
            return await self._direct.clock()

    async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """What `work` returns, carried out in one transaction: all of it happens or none of it.

        Cancelling the caller does not cut the transaction in half: it goes on to its end by itself.
        Raises: DatabaseDown, and whatever `work` raises (which rolls back).
        """
        task = asyncio.create_task(self._transact(work), context=self._variables.copy())
        self._under_way.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def rows(self, sql: str, *parameters: object) -> list[Row]:
        """The rows of one query outside a transaction. Raises: DatabaseDown."""
        with _translated(self.postgres):
            return await self._direct.rows(sql, *parameters)

    async def execute(self, sql: str, *parameters: object) -> int:
        """How many rows one statement changed. Raises: DatabaseDown."""
        with _translated(self.postgres):
            return await self._direct.execute(sql, *parameters)

    async def _transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        # A task of its own, so that a cancelled caller cannot leave Tortoise between taking the connection
        # and giving it back: its transaction context would keep the lock for ever.
        with _translated(self.postgres):
            async with self._client._in_transaction() as client:
                transaction = Transaction(client, postgres=self.postgres)
                if not self.postgres:
                    # Tortoise begins DEFERRED: a read that later writes fails at once when another process
                    # wrote in between. Writing first takes the write lock, for which SQLite does wait.
                    await transaction.execute("DELETE FROM claims WHERE 0")
                return await work(transaction)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may have been cancelled and not look

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        if self._path is not None:
            async with file_lock(self._path.with_name(self._path.name + ".lock")):
                yield
            return
        with _translated(postgres=True):
            lock = await asyncpg.connect(**self._connection_arguments())
            try:
                await lock.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)
                yield
            finally:
                await lock.close()

    def _connection_arguments(self) -> dict[str, Any]:
        credentials = self._context.connections.db_config["default"]["credentials"]
        return {
            name: credentials[name]
            for name in ("host", "port", "user", "password", "database", "ssl")
            if name in credentials
        }


_CLOCK_POSTGRES = "clock_timestamp()"
_CLOCK_SQLITE = "strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now')"


def when(value: datetime | str) -> datetime:
    """The time a column holds (SQLite gives text), in UTC."""
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)


def marks(number: int) -> str:
    """So many parameters in brackets: `(?, ?)`."""
    return f"({', '.join(['?'] * number)})"


async def _make_directory(path: Path) -> None:
    try:
        await asyncio.to_thread(path.mkdir, parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseDown(f"the directory of the SQLite file cannot be made: {error}") from error


def _is_postgres(url: str) -> bool:
    return not url.startswith("sqlite:")


def _sqlite_value(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(" ", "microseconds")
    return value


@lru_cache(maxsize=512)
def _numbered(sql: str) -> str:
    numbers = count(1)
    return "".join(f"${next(numbers)}" if letter == "?" else letter for letter in sql)


@contextmanager
def _translated(postgres: bool) -> Iterator[None]:
    try:
        yield
    except BaseORMException as error:
        if isinstance(error, OperationalError) and not postgres and _sqlite_is_down(error):
            raise DatabaseDown(f"SQLite cannot work: {error}") from error
        if postgres and isinstance(error, DBConnectionError):
            raise DatabaseDown(f"PostgreSQL does not answer: {error}") from error
        raise
    except _POSTGRES_DOWN as error:
        if not postgres:
            raise
        raise DatabaseDown(f"PostgreSQL does not answer: {error or type(error).__name__}") from error


def _sqlite_is_down(error: OperationalError) -> bool:
    name = getattr(error.args[0] if error.args else None, "sqlite_errorname", "")
    return any(name.startswith(down) for down in _SQLITE_DOWN)
