"""A house for each journey."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.companion_web.browser import chromium
from tests.journeys import house
from tests.journeys.house import House

OpenHouse = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def open_house(redis_url: str) -> OpenHouse:
    """Opens a house over an empty Redis; takes what `house.open_house` takes besides."""
    return partial(house.open_house, redis_url)


@pytest.fixture
async def browser(chromium_path: Path) -> AsyncIterator[Browser]:
    """A real Chromium."""
    async with chromium(chromium_path) as opened:
        yield opened
