"""What sign-in needs of whoever keeps people's GitHub tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class GitHubTokens:
    """A person's tokens as GitHub gave them; lifetimes in seconds from now, None meaning no end."""

    login: str
    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_in: float | None = None
    refresh_token_expires_in: float | None = None


class Accounts(Protocol):
    """Keeps the tokens with which pull requests are opened in people's names."""

    async def store(self, person_id: str, tokens: GitHubTokens) -> None:
        """Keep these in place of former ones."""
