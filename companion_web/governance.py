"""What the pages need of those who hold credentials, keep the record of effects, and can stop everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from session.audit import Audit
from session.broker import Broker
from session.broker_accounts import GitHubAccounts, StoredSecrets
from session.halt import KillSwitch
from session.standstill import Standstill


@dataclass(frozen=True, slots=True)
class Governance:
    """The broker's services, the kill switch with all that belongs to it, and the audit."""

    accounts: GitHubAccounts
    secrets: StoredSecrets
    switch: KillSwitch
    audit: Audit
    standstill: Standstill

    @classmethod
    def over(cls, broker: Broker, switch: KillSwitch, audit: Audit, standstill: Standstill) -> Self:
        """All of it for a process with that way to the broker."""
        return cls(GitHubAccounts(broker), StoredSecrets(broker), switch, audit, standstill)
