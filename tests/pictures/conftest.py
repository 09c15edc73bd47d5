"""A house to photograph, and the camera."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.companion_web.browser import chromium
from tests.journeys.house import House, open_house
from tests.pictures.story import MODEL


@pytest.fixture
async def house(redis_url: str) -> AsyncIterator[House]:
    """A house whose people read all that the bot says."""
    async with open_house(redis_url, settings={"AGENT_MODEL": MODEL}) as opened:
        yield opened


@pytest.fixture
async def browser(chromium_path: Path) -> AsyncIterator[Browser]:
    """A real Chromium."""
    async with chromium(chromium_path) as opened:
        yield opened
