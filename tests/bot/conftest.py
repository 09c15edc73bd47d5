"""What the tests of the bot share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bot.rooms import Rooms, open_rooms


@pytest.fixture
async def rooms(tmp_path: Path, redis_url: str) -> AsyncIterator[Rooms]:
    """A SQLite database and everything behind the bot."""
    async with open_rooms(
        f"sqlite://{tmp_path / 'bellhop.db'}", redis_url, tmp_path / "broker.sock"
    ) as opened:
        yield opened
