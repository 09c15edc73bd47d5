"""What answers git's requests in place of the forge: the door hands them over and never sends them on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class GitRequest:
    """A request of a box to its repository's URL.

    method: in capitals. path: checked, beginning with `/`. query: what follows the `?`, empty when there is
    none. headers: by lower-case name, without any credential that the box brought. body: the bytes as they
    come from the box, without transfer coding; to be read once.
    """

    session_id: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class GitAnswer:
    """The answer for the box; `body` is sent chunked unless the headers name a content-length."""

    status: int
    headers: list[tuple[str, str]]
    body: AsyncIterator[bytes]


class GitHandler(Protocol):
    """Serves the repositories of sessions over git's smart HTTP."""

    def serves(self, session_id: str, url: str) -> bool:
        """Whether the URL (`scheme://host[:port]/path` without query) lies in the session's repository.

        The port is left out when it is the scheme's own.
        """
        ...

    async def handle(self, request: GitRequest) -> GitAnswer:
        """The answer to a request that `serves` said yes to."""
        ...
