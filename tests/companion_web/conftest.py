"""A stage for each test, and a browser for those that look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.companion_web.browser import chromium
from tests.companion_web.stage import Stage
from tests.companion_web.stage import stage as open_stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """The web application over a new database."""
    async with open_stage(tmp_path) as opened:
        yield opened


@pytest.fixture
async def browser(chromium_path: Path) -> AsyncIterator[Browser]:
    """A real Chromium."""
    async with chromium(chromium_path) as opened:
        yield opened
