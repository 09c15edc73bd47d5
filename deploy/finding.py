"""What `bellhop doctor` says about one part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from session.settings import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one part. `ok` None means that it is not set up, which may be fine.

    `details` are lines that stand below the sentence.
    """

    part: str
    ok: bool | None
    sentence: str
    details: tuple[str, ...] = ()


Check = Callable[[Settings], Awaitable[Finding]]
