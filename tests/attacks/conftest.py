"""What the attacks are run with: whole houses, boxes of each kind, and a note of the ones that succeed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Browser

from sandbox.environments.docker_engine import DockerEnvironment
from sandbox.environments.local_namespace import LocalEnvironment
from tests.attacks.frame import success_in
from tests.companion_web.browser import chromium
from tests.journeys import house
from tests.journeys.house import House
from tests.sandbox.environments.boxes import Bench

OpenHouse = Callable[..., AbstractAsyncContextManager[House]]
SUCCESS = "attack succeeded"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note in the report what an attack succeeded in; `prove` reads it there."""
    success = success_in(call.excinfo.value) if call.excinfo is not None else None
    if success is not None:
        item.user_properties.append((SUCCESS, success))
    return (yield)


@pytest.fixture
def open_house(redis_url: str) -> OpenHouse:
    """Opens a house over an empty Redis; takes what `house.open_house` takes besides."""
    return partial(house.open_house, redis_url)


@pytest.fixture
async def browser(chromium_path: Path) -> AsyncIterator[Browser]:
    """A real Chromium."""
    async with chromium(chromium_path) as opened:
        yield opened


@pytest.fixture(params=["docker", "local"])
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of box; a test with this, or with `bench`, runs once for each."""
    name: str = request.param
    return name


@pytest.fixture
async def bench(backend: str, request: pytest.FixtureRequest, bellhop_home: Path) -> AsyncIterator[Bench]:
    """Boxes of that kind: `async with bench.box() as box`, and what runs in them as `boxes.run` does it."""
    environment: DockerEnvironment | LocalEnvironment
    if backend == "docker":
        environment = DockerEnvironment(
            run_directory=bellhop_home / "run",
            base_image=request.getfixturevalue("base_image"),
            cache=bellhop_home / "cache",
            base_url=request.getfixturevalue("docker_host"),
        )
    else:
        environment = LocalEnvironment(directory=bellhop_home)
    await environment.check()
    yield Bench(environment, bellhop_home)
    await environment.aclose()
