"""What the pages need of those who hold credentials, keep the record of effects, and can stop everything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

from session.audit import Audit
from session.broker import Broker
from session.broker_accounts import GitHubAccounts, StoredSecrets
from session.halt import KillSwitch
from session.people import Person

StopEverything = Callable[[Person, str], Awaitable[object]]
"""Switches everything off, in that person's name and for that reason, and stops what runs."""


@dataclass(frozen=True, slots=True)
class Governance:
    """The broker's services, the kill switch and the audit."""

    accounts: GitHubAccounts
    secrets: StoredSecrets
    switch: KillSwitch
    audit: Audit
    stop_everything: StopEverything

    @classmethod
    def over(cls, broker: Broker, switch: KillSwitch, audit: Audit, stop_everything: StopEverything) -> Self:
        """All of it for a process with that way to the broker."""
        return cls(GitHubAccounts(broker), StoredSecrets(broker), switch, audit, stop_everything)
