"""The directory: who is who, and what their role is."""

from __future__ import annotations

from session.database import Database
from session.people import Identity, Person, Role


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
        """The person behind the account, made on first sight; name and email follow the platform."""
        raise NotImplementedError

    async def person(self, person_id: str) -> Person | None:
        """The person with that id."""
        raise NotImplementedError

    async def role(self, person_id: str) -> Role:
        """What the person may do; somebody unknown is a viewer."""
        raise NotImplementedError

    async def set_role(self, person_id: str, role: Role) -> None:
        """Give the person that role."""
        raise NotImplementedError

    async def set_forge_login(self, person_id: str, login: str | None) -> None:
        """Note the person's account on the forge; None unlinks it."""
        raise NotImplementedError

    async def link(self, person_id: str, identity: Identity) -> Person:
        """The person, to whom the account belongs from now on.

        An account that was seen before and whose person has no other account is taken over.
        Raises: IdentityTaken.
        """
        raise NotImplementedError

    async def identities(self, person_id: str) -> tuple[Identity, ...]:
        """The person's accounts."""
        raise NotImplementedError

    async def approvers(self) -> tuple[str, ...]:
        """Ids of all people who may approve."""
        raise NotImplementedError

    async def issue_ticket(self, purpose: str, data: str, ttl_seconds: float) -> str:
        """A secret token that gives `data` back once, within `ttl_seconds`; only its hash is kept."""
        raise NotImplementedError

    async def redeem_ticket(self, purpose: str, token: str) -> str | None:
        """The ticket's data, the first time and in time; None otherwise."""
        raise NotImplementedError
