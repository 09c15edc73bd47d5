"""Calls of Discord's API: through the circuit, and their errors told apart.

The library keeps to the buckets and waits where Discord says so, up to half a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp
import discord

from bot.platforms.discord.circuit import TOKEN_REFUSED, Circuit
from bot.platforms.protocol import Busy, MessageGone, PlaceGone, PlatformError, Rejected, Unreachable

T = TypeVar("T")

LONGEST_CALL_SECONDS = 60.0
LONGEST_LIMIT_SECONDS = 30.0

# Source: https://docs.discord.com/developers/topics/opcodes-and-status-codes
UNKNOWN_CHANNEL, UNKNOWN_MEMBER, UNKNOWN_MESSAGE, UNKNOWN_USER, UNKNOWN_EMOJI = (
    10003,
    10007,
    10008,
    10013,
    10014,
)
TOO_MANY_LATE_EDITS, WRONG_CHANNEL_TYPE, ARCHIVED, THREAD_EXISTS, LOCKED = 30046, 50024, 50083, 160004, 160005
_OVER = frozenset({10015, 10062, 40060, 50027})
_NO_PLACE = frozenset({UNKNOWN_CHANNEL, 10004, WRONG_CHANNEL_TYPE, LOCKED})


class Archived(PlatformError):
    """The thread sleeps; it has to be opened before anything in it can be changed."""


class InteractionOver(PlatformError):
    """What somebody pressed or typed can no longer be answered: too late, or answered already."""


def code_of(error: PlatformError) -> int:
    """Discord's own code of the refusal behind an error, 0 where there is none."""
    cause = error.__cause__
    return cause.code if isinstance(cause, discord.HTTPException) else 0


class DiscordApi:
    """Everything that is asked of Discord goes through here."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit

    async def call(self, what: str, where: object, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` brings. `what` and `where` name it, for errors and for what is not asked again at once.

        Raises: PlatformError.
        """
        named = f"{what} ({where})"
        self.circuit.check(named)
        try:
            async with asyncio.timeout(LONGEST_CALL_SECONDS):
                return await ask()
        except discord.RateLimited as error:
            raise Busy(f"Discord asks to wait before it would {named}", error.retry_after) from error
        except discord.HTTPException as error:
            told = self._told(named, error)
            raise told from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = str(error) or type(error).__name__
            raise Unreachable(f"Discord gave no answer when asked to {named}: {why}") from error

    def _told(self, named: str, error: discord.HTTPException) -> PlatformError:
        message = f"Discord refused to {named}: {error.status} {error.code} {error.text[:300]}"
        if error.code in _OVER:
            return InteractionOver(message)
        if error.status in (401, 403):
            self.circuit.refused(named, error.status)
            return PlaceGone(message) if error.status == 403 else PlatformError(TOKEN_REFUSED)
        if error.status == 429 or error.code == TOO_MANY_LATE_EDITS:
            after = error.response.headers.get("Retry-After", "60")
            return Busy(message, float(after))
        if error.status >= 500:
            return Unreachable(message)
        if error.code == UNKNOWN_MESSAGE:
            return MessageGone(message)
        if error.code == ARCHIVED:
            return Archived(message)
        return PlaceGone(message) if error.code in _NO_PLACE else Rejected(message)
