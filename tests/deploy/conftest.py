"""What the deployment's tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.deploy.commands import whole_environment
from tests.emulators.model.emulator import ModelEmulator


@pytest.fixture
async def model() -> AsyncIterator[ModelEmulator]:
    """A model that answers."""
    async with ModelEmulator() as emulator:
        yield emulator


@pytest.fixture
def whole(bellhop_home: Path, model: ModelEmulator) -> dict[str, str]:
    """An environment in which nothing is missing."""
    return whole_environment(bellhop_home, model)
