"""Rows for sealed secrets; sealing is the broker's, this keeps bytes it cannot read."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from session.database import Database


class SecretRows:
    """Sealed secrets by name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> bytes | None:
        """The sealed bytes."""
        raise NotImplementedError

    async def put(self, name: str, sealed: bytes) -> None:
        """Keep the sealed bytes, instead of earlier ones."""
        raise NotImplementedError

    async def delete(self, name: str) -> None:
        """Forget them."""
        raise NotImplementedError

    async def names(self, prefix: str = "") -> tuple[str, ...]:
        """Names that begin with `prefix`, sorted."""
        raise NotImplementedError

    def lock(self, name: str) -> AbstractAsyncContextManager[None]:
        """Keep every other process out of that secret while the block runs (token refresh)."""
        raise NotImplementedError
