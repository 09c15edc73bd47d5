"""The application's own role in PostgreSQL: it may add to the audit and read it, and cannot change it."""

from __future__ import annotations

import re

from session.database import Database, Transaction

_ROLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")


class RoleRefused(Exception):
    """The role cannot be given its rights; the message says what to do."""


async def grant(database: Database, role: str) -> None:
    """Let that role do the application's work on this version's tables, as the tables' owner.

    It gets rows of all tables, of the audit only to read and to add; no table is its own. The role itself is
    made by whoever runs the server. To be repeated after each `bellhop migrate`.
    Raises: RoleRefused, DatabaseDown.
    """
    if not database.postgres:
        raise RoleRefused("Only PostgreSQL has roles: set DATABASE_URL to the address of its owner's role.")
    if not _ROLE.fullmatch(role):
        raise RoleRefused(f"{role!r} cannot name a role: use letters, digits, _ and -, at most 63.")

    async def work(transaction: Transaction) -> None:
        if not await transaction.rows("SELECT 1 AS one FROM pg_roles WHERE rolname = ?", role):
            raise RoleRefused(
                f'There is no role {role}: make it with CREATE ROLE "{role}" LOGIN, then repeat.'
            )
        await _refuse_owner(transaction, role)
        for statement in _statements(f'"{role}"'):
            await transaction.execute(statement)

    await database.run(work)


def _statements(role: str) -> tuple[str, ...]:
    return (
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
        f"REVOKE ALL ON audit, tortoise_migrations FROM {role}",
        f"GRANT SELECT, INSERT ON audit TO {role}",
        f"GRANT SELECT ON tortoise_migrations TO {role}",
    )


async def _refuse_owner(transaction: Transaction, role: str) -> None:
    """Whoever owns the audit, or is a superuser, can take the triggers off it: rights do not bind them."""
    rows = await transaction.rows(
        "SELECT r.rolsuper OR pg_has_role(r.oid, c.relowner, 'MEMBER') AS unbound "
        "FROM pg_roles r, pg_class c WHERE r.rolname = ? AND c.oid = 'audit'::regclass",
        role,
    )
    if rows and rows[0]["unbound"]:
        raise RoleRefused(
            f"{role} owns the audit, or is a superuser, and could change it whatever it is granted. Give the "
            "application a role of its own and run this as the owner."
        )
