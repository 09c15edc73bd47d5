"""What the doors are given to work with."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sandbox.broker.door.addresses import Network, Resolver, resolve
from sandbox.broker.door.handlers import GitHandler
from sandbox.certificates import system_authorities
from session.audit import Audit
from session.catalogue import Catalogue
from session.halt import KillSwitch
from session.log import Log


class EgressSpent(Exception):
    """The session has sent and received as much as its budget allows; the message can be shown."""


class DoorTaken(Exception):
    """That door cannot be given to that session; the message says why."""


class Secrets(Protocol):
    """The vault, as far as the door needs it."""

    async def get(self, name: str) -> str | None:
        """The secret of that name, None when there is none."""
        ...


class Spend(Protocol):
    """Counts what a session uses."""

    async def __call__(self, session_id: str, budget: str, amount: int) -> None:
        """Return when it was counted and the session may go on. Raises: EgressSpent."""
        ...


@dataclass(frozen=True, slots=True)
class DoorParts:
    """Everything the doors of a broker share.

    networks: networks that are not public and may be reached all the same. git: what answers for the
    sessions' own repositories, None: nothing does. spend: counts `egress_bytes`, None: there is no budget.
    ssl_context: how servers are verified. idle_seconds: how long a connection may be silent.
    queue_seconds: how long one more than a box may have waits for another to end.
    """

    log: Log
    catalogue: Catalogue
    audit: Audit
    switch: KillSwitch
    secrets: Secrets
    networks: Sequence[Network] = ()
    git: GitHandler | None = None
    spend: Spend | None = None
    ssl_context: ssl.SSLContext = field(default_factory=system_authorities)
    resolver: Resolver = resolve
    idle_seconds: float = 120.0
    connect_seconds: float = 10.0
    queue_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class EgressRefused:
    """A request that the door refused. number: higher than those of all refusals before it. allowable: a
    person's yes would let it through."""

    number: int
    scheme: str
    host: str
    port: int
    method: str
    path: str
    reason: str
    allowable: bool

    @property
    def subject(self) -> str:
        """What an approval of it is about: `METHOD host:port`."""
        return f"{self.method} {self.host}:{self.port}"
