"""The directory: who is who, and what their role is."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta

from session.database import Database, Row, Transaction, marks
from session.people import Identity, Person, Role

LINK_PURPOSE = "link"
"""Purpose of the tickets with which a chat account is linked; their data is the person's id."""

_MAX_NAME = 200
_NO_GUEST = "EXISTS (SELECT 1 FROM identities i WHERE i.person_id = p.id AND NOT i.guest)"

# An id's person as they are now: links of links are flattened, so one step is enough.
_CURRENT = "(SELECT COALESCE(merged_into, id) FROM people WHERE id = ?)"


class IdentityTaken(Exception):
    """The account already belongs to another person."""


class Directory:
    """People, their accounts and roles.

    default_role: what somebody seen for the first time may do (guests are always viewers).
    """

    def __init__(self, database: Database, default_role: Role = "approver") -> None:
        self._database = database
        self._default_role = default_role

    async def resolve(self, identity: Identity) -> Person:
        """The person behind the account, made on first sight; name and email follow the platform.

        Raises: DatabaseDown.
        """
        known = await self._database.rows(
            "SELECT person_id, name, email, guest FROM identities WHERE key = ?", identity.key
        )
        if known and _same(known[0], identity):
            person = await self.person(known[0]["person_id"])
            if person is not None:
                return person
        return await self._database.run(lambda transaction: self._resolve(transaction, identity))

    async def person(self, person_id: str) -> Person | None:
        """The person with that id, or the one they turned out to be. Raises: DatabaseDown."""
        rows = await self._database.rows(f"SELECT * FROM people WHERE id = {_CURRENT}", person_id)
        return _person(rows[0]) if rows else None

    async def names(self, person_ids: Iterable[str]) -> dict[str, str]:
        """How these people are called now, by the id that was asked for; unknown ones are left out.

        Raises: DatabaseDown.
        """
        asked = sorted(set(person_ids))
        if not asked:
            return {}
        rows = await self._database.rows(
            "SELECT p.id, q.name FROM people p JOIN people q ON q.id = COALESCE(p.merged_into, p.id) "
            f"WHERE p.id IN {marks(len(asked))}",
            *asked,
        )
        return {row["id"]: row["name"] for row in rows}

    async def ids(self, person_id: str) -> tuple[str, ...]:
        """Every id that stands for the same person, the one they have now first; events keep older ones.

        Raises: DatabaseDown.
        """
        rows = await self._database.rows(
            f"SELECT id FROM people WHERE id = {_CURRENT} OR merged_into = {_CURRENT} "
            "ORDER BY merged_into IS NOT NULL, id",
            person_id,
            person_id,
        )
        return tuple(row["id"] for row in rows) or (person_id,)

    async def role(self, person_id: str) -> Role:
        """What the person may do; somebody unknown, or known as a guest alone, is a viewer.

        Raises: DatabaseDown.
        """
        rows = await self._database.rows(
            f"SELECT role FROM people p WHERE id = {_CURRENT} AND {_NO_GUEST}", person_id
        )
        role: Role = rows[0]["role"] if rows else "viewer"
        return role

    async def set_role(self, person_id: str, role: Role) -> None:
        """Give the person that role. Raises: DatabaseDown."""
        await self._database.execute(f"UPDATE people SET role = ? WHERE id = {_CURRENT}", role, person_id)

    async def set_forge_login(self, person_id: str, login: str | None) -> None:
        """Note the person's account on the forge; None unlinks it. Raises: DatabaseDown."""
        await self._database.execute(
            f"UPDATE people SET forge_login = ? WHERE id = {_CURRENT}", login, person_id
        )

    async def link(self, person_id: str, identity: Identity) -> Person:
        """The person, to whom the account belongs from now on.

        An account that was seen before brings its person along, who from then on is the same one; not when
        that person has other accounts as well. Raises: IdentityTaken, DatabaseDown.
        """

        async def work(transaction: Transaction) -> Person:
            rows = await transaction.rows(f"SELECT * FROM people WHERE id = {_CURRENT}", person_id)
            if not rows:
                raise IdentityTaken(f"there is no person {person_id} to link {identity.key} to")
            person = _person(rows[0])
            known = await transaction.rows("SELECT person_id FROM identities WHERE key = ?", identity.key)
            other = known[0]["person_id"] if known else person.id
            if other != person.id:
                accounts = await transaction.rows("SELECT key FROM identities WHERE person_id = ?", other)
                if len(accounts) > 1:
                    raise IdentityTaken(f"{identity.key} belongs to a person who has other accounts as well")
                await transaction.execute(
                    "UPDATE people SET merged_into = ? WHERE id = ? OR merged_into = ?",
                    person.id,
                    other,
                    other,
                )
            await _put_identity(transaction, identity, person.id)
            return person

        return await self._database.run(work)

    async def identities(self, person_id: str) -> tuple[Identity, ...]:
        """The person's accounts. Raises: DatabaseDown."""
        rows = await self._database.rows(
            "SELECT platform, workspace, account, name, email, guest FROM identities "
            f"WHERE person_id = {_CURRENT} ORDER BY key",
            person_id,
        )
        return tuple(Identity(**{**row, "guest": bool(row["guest"])}) for row in rows)

    async def approvers(self) -> tuple[str, ...]:
        """Ids of all people who may approve. Raises: DatabaseDown."""
        rows = await self._database.rows(
            "SELECT id FROM people p WHERE role IN ('approver', 'admin') AND merged_into IS NULL "
            f"AND {_NO_GUEST} ORDER BY id"
        )
        return tuple(row["id"] for row in rows)

    async def issue_ticket(self, purpose: str, data: str, ttl_seconds: float) -> str:
        """A secret token that gives `data` back once, within `ttl_seconds`; only its hash is kept.

        Raises: DatabaseDown.
        """
        token = secrets.token_urlsafe(32)

        async def work(transaction: Transaction) -> None:
            now = await transaction.clock()
            await transaction.execute("DELETE FROM tickets WHERE expires_at <= ?", now)
            await transaction.execute(
                "INSERT INTO tickets (token_hash, purpose, data, expires_at) VALUES (?, ?, ?, ?)",
                _hash(token),
                purpose,
                data,
                now + timedelta(seconds=ttl_seconds),
            )

        await self._database.run(work)
        return token

    async def redeem_ticket(self, purpose: str, token: str) -> str | None:
        """The ticket's data, the first time and in time; None otherwise. Raises: DatabaseDown."""

        async def work(transaction: Transaction) -> str | None:
            rows = await transaction.rows(
                "DELETE FROM tickets WHERE token_hash = ? AND purpose = ? AND expires_at > ? RETURNING data",
                _hash(token),
                purpose,
                await transaction.clock(),
            )
            return str(rows[0]["data"]) if rows else None

        return await self._database.run(work)

    async def _resolve(self, transaction: Transaction, identity: Identity) -> Person:
        known = await transaction.rows("SELECT person_id FROM identities WHERE key = ?", identity.key)
        person_id = known[0]["person_id"] if known else f"p_{secrets.token_hex(6)}"
        # Two processes may see somebody for the first time at once: the first account row decides who it is.
        person_id = await _put_identity(transaction, identity, person_id, keep_owner=True)
        await transaction.execute(
            "INSERT INTO people (id, name, email, role, created_at) "
            f"VALUES (?, ?, ?, ?, {transaction.now}) ON CONFLICT (id) DO NOTHING",
            person_id,
            identity.name[:_MAX_NAME],
            identity.email,
            "viewer" if identity.guest else self._default_role,
        )
        await transaction.execute(
            "UPDATE people SET name = ?, email = COALESCE(?, email) WHERE id = ?",
            identity.name[:_MAX_NAME],
            identity.email,
            person_id,
        )
        rows = await transaction.rows("SELECT * FROM people WHERE id = ?", person_id)
        return _person(rows[0])


async def _put_identity(
    transaction: Transaction, identity: Identity, person_id: str, *, keep_owner: bool = False
) -> str:
    owner = "identities.person_id" if keep_owner else "excluded.person_id"
    rows = await transaction.rows(
        "INSERT INTO identities (key, person_id, platform, workspace, account, name, email, guest) "
        f"VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET person_id = {owner}, "
        "name = excluded.name, email = excluded.email, guest = excluded.guest RETURNING person_id",
        identity.key,
        person_id,
        identity.platform,
        identity.workspace,
        identity.account,
        identity.name[:_MAX_NAME],
        identity.email,
        identity.guest,
    )
    return str(rows[0]["person_id"])


def _same(row: Row, identity: Identity) -> bool:
    seen = (row["name"], row["email"], bool(row["guest"]))
    return seen == (identity.name[:_MAX_NAME], identity.email, identity.guest)


def _person(row: Row) -> Person:
    return Person(id=row["id"], name=row["name"], email=row["email"], forge_login=row["forge_login"])


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
