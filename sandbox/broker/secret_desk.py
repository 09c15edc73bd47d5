"""The broker's desk for stored secrets: values go in, names come out, the door alone reads what is kept."""

from __future__ import annotations

from typing import Any

from sandbox.broker.operations import Caller, Operation, Part
from sandbox.broker.vault import Vault
from session import broker_accounts as wire
from session.audit import Audit, AuditEntry
from session.broker import Nothing

PREFIX = "secret/"
KEEPERS: frozenset[Part] = frozenset({"web", "operator"})


class StoredSecrets:
    """Secrets that the door and the tool servers are given, kept in the vault beside people's tokens."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def get(self, name: str) -> str | None:
        """The secret of that name, None when there is none. Raises: VaultError, DatabaseDown."""
        return await self._vault.get(PREFIX + name)

    async def names(self) -> tuple[str, ...]:
        """Every name there is, sorted."""
        return tuple(n.removeprefix(PREFIX) for n in await self._vault.names() if n.startswith(PREFIX))


class SecretDesk:
    """Takes secrets in."""

    def __init__(self, vault: Vault, audit: Audit) -> None:
        self._vault = vault
        self._stored = StoredSecrets(vault)
        self._audit = audit

    def operations(self) -> list[Operation[Any, Any]]:
        """The desk's operations, for web and operators."""
        return [
            Operation("secret.names", Nothing, KEEPERS, self.names),
            Operation("secret.set", wire.SecretValue, KEEPERS, self.set),
            Operation("secret.delete", wire.SecretName, KEEPERS, self.delete),
            Operation("secret.rotate", Nothing, frozenset({"operator"}), self.rotate),
        ]

    async def names(self, asked: Nothing, caller: Caller) -> wire.Names:
        """The names of all stored secrets."""
        return wire.Names(names=await self._stored.names())

    async def set(self, asked: wire.SecretValue, caller: Caller) -> Nothing:
        """The value is kept under that name."""
        await self._audited("secret.set", asked.name, caller, asked.by)
        await self._vault.put(PREFIX + asked.name, asked.value)
        return Nothing()

    async def delete(self, asked: wire.SecretName, caller: Caller) -> Nothing:
        """The name is forgotten."""
        await self._audited("secret.delete", asked.name, caller, asked.by)
        await self._vault.delete(PREFIX + asked.name)
        return Nothing()

    async def rotate(self, asked: Nothing, caller: Caller) -> wire.Resealed:
        """Everything in the vault, people's tokens too, is sealed under the newest key."""
        await self._audited("secret.rotate", "everything", caller)
        return wire.Resealed(count=await self._vault.rotate())

    async def _audited(self, action: str, target: str, caller: Caller, by: str = "") -> None:
        actor = f"{caller.name} for {by}" if by else caller.name
        await self._audit.write(AuditEntry(actor=actor, action=action, target=target, outcome="allowed"))
