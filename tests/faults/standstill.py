"""Workers that stand still right before they record something, so that they can be killed at that very point.

Triggers in PostgreSQL make the write wait for a lock that the test holds. Points are the names of events
("ToolReturned"), and "begin …" or "finish …" with the name of an effect in the ledger ("begin publish").
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg

from tests.faults.waiting import until

_LOCK = 77
_TRIGGERS = f"""
CREATE TABLE held_points (session_id text PRIMARY KEY, point text NOT NULL);
CREATE FUNCTION stand_still(of_session text, at_point text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM held_points WHERE session_id = of_session AND point = at_point) THEN
        PERFORM pg_advisory_xact_lock_shared({_LOCK});
    END IF;
END $$;
CREATE FUNCTION before_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM stand_still(NEW.session_id, NEW.type);
    RETURN NEW;
END $$;
CREATE FUNCTION before_effect() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE step text := CASE TG_OP WHEN 'INSERT' THEN 'begin ' ELSE 'finish ' END;
BEGIN
    PERFORM stand_still(NEW.session_id, step || split_part(NEW.op_key, ':', 2));
    RETURN NEW;
END $$;
CREATE TRIGGER hold BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION before_event();
CREATE TRIGGER hold BEFORE INSERT OR UPDATE ON effects FOR EACH ROW EXECUTE FUNCTION before_effect();
"""
# Processes that start wait for one another by an advisory lock too, while they look for migrations: not ours.
_STAND_STILL = f"""
FROM pg_locks
WHERE locktype = 'advisory' AND classid = 0 AND objid = {_LOCK} AND NOT granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_WAITING = f"SELECT count(*) {_STAND_STILL}"
_CUT = f"SELECT pg_terminate_backend(pid) {_STAND_STILL}"


class Standstill:
    """Points at which the sessions of one database stand still."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def hold(self, points: Mapping[str, str]) -> None:
        """Sessions (by id) are to stand still before they record the point."""
        await self._connection.executemany("INSERT INTO held_points VALUES ($1, $2)", list(points.items()))

    async def reached(self, sessions: int) -> None:
        """Returns once so many sessions stand still."""

        async def all_there() -> bool:
            return int(await self._connection.fetchval(_WAITING)) >= sessions

        await until(all_there, f"{sessions} sessions stand still", 60)

    async def cut(self) -> None:
        """The connections of those who stand still are cut, as by a failover."""
        await self._connection.execute(_CUT)

    async def let_go(self) -> None:
        """Nobody stands still any more, now and later."""
        await self._connection.execute("DELETE FROM held_points")
        await self._connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


@asynccontextmanager
async def standstill(database_url: str) -> AsyncIterator[Standstill]:
    """Hands to make sessions of that (migrated) database stand still."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(_TRIGGERS)
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        yield Standstill(connection)
    finally:
        await connection.close()
