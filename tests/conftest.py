"""What every test may ask for: real servers, started when the first test asks, stopped after the last.

Where the machine lacks a part, its tests are skipped and the end of the run says so in a box. With `CI=true`
a missing part is a failure: a run that counts must not pass by leaving things out.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import pytest_asyncio
import redis
from hypothesis import HealthCheck, settings

from sandbox.environments.docker_engine import DockerEnvironment
from tests.provision import base_image as base_images
from tests.provision import docker_engine, forks, parts, places, processes
from tests.provision.databases import migrate
from tests.provision.lent_database import LentDatabase
from tests.provision.postgres import PostgresServer, reachable_parent
from tests.provision.registry import RegistryServer
from tests.provision.valkey import ValkeyServer

# A machine that stands still makes an example slow, which says nothing of the example.
settings.register_profile(
    "patient",
    settings(),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, *settings().suppress_health_check],
)
settings.load_profile("patient")

_SKIP_PREFIX = "needs "
_DATABASES = ("sqlite", "postgres")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers of this suite; where several processes are to run it, one forks for them all."""
    if config.getoption("numprocesses", None):
        forks.share()
    config.addinivalue_line(
        "markers", "needs(*parts): skip (fail under CI=true) where a real part is missing"
    )
    config.addinivalue_line("markers", "databases(*kinds): narrow `database_url` to 'sqlite' or 'postgres'")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses `database_url` once for each database."""
    if "database_url" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("databases")
        metafunc.parametrize("database_url", marker.args if marker else _DATABASES, indirect=True)


def pytest_collection_finish() -> None:
    """Leave what importing made out of every later collection of garbage: it stays to the end anyway."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Draw the box that says which real parts went untested."""
    skipped: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
        if reason.startswith(_SKIP_PREFIX):
            skipped[reason] = skipped.get(reason, 0) + 1
    if skipped:
        terminalreporter.write_line("")
        for line in boxed(_summary(skipped)):
            terminalreporter.write_line(line, yellow=True, bold=True)


def boxed(lines: list[str]) -> list[str]:
    """The lines in a frame that is hard to overlook."""
    width = max(len(line) for line in lines)
    edge = "+" + "-" * (width + 2) + "+"
    return [edge, *(f"| {line:<{width}} |" for line in lines), edge]


def _summary(skipped: dict[str, int]) -> list[str]:
    head = f"Skipped because this machine lacks real parts: {sum(skipped.values())}"
    return [head, *(f"  {count:>4} x {reason}" for reason, count in sorted(skipped.items()))]


def unavailable(name: str, reason: str) -> NoReturn:
    """Leave the running test: skipped, or failed under `CI=true`."""
    message = f"{_SKIP_PREFIX}{name}: {reason}"
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def require() -> Callable[[str], None]:
    """`require("docker")` leaves the test where the machine lacks that part; names are in `parts.PARTS`."""
    known: dict[str, str | None] = {}

    def require_part(name: str) -> None:
        if name not in known:
            known[name] = parts.missing(name)
        reason = known[name]
        if reason is not None:
            unavailable(name, reason)

    return require_part


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest, require: Callable[[str], None]) -> None:
    for marker in request.node.iter_markers("needs"):
        for name in marker.args:
            require(name)


@pytest.fixture(scope="session")
def postgres_server(require: Callable[[str], None]) -> Iterator[PostgresServer]:
    """A PostgreSQL server of this run alone."""
    require("postgres")
    with processes.private_directory(reachable_parent(places.CACHE / "postgres")) as directory:
        server = PostgresServer(directory)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """Address of the private server's maintenance database; for data of a test use `postgres_database`."""
    return postgres_server.url


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """Address of a PostgreSQL database with this version's tables, to be copied."""
    url = postgres_server.create_database()
    asyncio.run(migrate(url))
    return url


@pytest.fixture(scope="session")
def _lent_database(postgres_server: PostgresServer, postgres_template: str) -> Iterator[LentDatabase]:
    database = LentDatabase(postgres_server, postgres_template)
    yield database
    database.close()


@pytest.fixture
def postgres_database(_lent_database: LentDatabase) -> Iterator[str]:
    """Address of an empty PostgreSQL database with its tables, as `postgres://user@host:port/name`."""
    with _lent_database.lent() as url:
        yield url


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of a new database: the test runs once on SQLite and once on PostgreSQL.

    The PostgreSQL database has its tables; for SQLite, `tests.provision.databases.tables_at` gives them.
    `@pytest.mark.databases("sqlite")` keeps a test to one of them.
    """
    if request.param == "sqlite":
        return f"sqlite://{tmp_path / 'bellhop.db'}"
    url: str = request.getfixturevalue("postgres_database")
    return url


@pytest.fixture(scope="session")
def valkey_server(require: Callable[[str], None]) -> Iterator[ValkeyServer]:
    """A Redis-compatible server of this run alone."""
    require("redis")
    with processes.private_directory(places.CACHE / "valkey") as directory:
        server = ValkeyServer(directory)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def redis_url(valkey_server: ValkeyServer) -> str:
    """Address of an empty Redis, as `redis://127.0.0.1:port/0`."""
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return valkey_server.url


@pytest.fixture(scope="session")
def docker_host(require: Callable[[str], None]) -> Iterator[str]:
    """Address of a Docker engine: the one that answers, else a private one."""
    require("docker")
    with contextlib.ExitStack() as stack:
        try:
            host = stack.enter_context(docker_engine.engine())
        except processes.ServerDidNotStart as error:
            unavailable("docker", str(error))
        yield host


@pytest.fixture(scope="session")
def base_image(docker_host: str) -> str:
    """Tag of the sandbox base image in the engine at `docker_host`, built on first use and kept."""
    return base_images.ensure(docker_host)


@pytest.fixture
def second_engine(require: Callable[[str], None]) -> Iterator[docker_engine.DockerEngine]:
    """A private engine besides the one at `docker_host`, for this test alone."""
    require("docker")
    if not docker_engine.can_be_started():
        unavailable("docker", "only root can start a second engine, with dockerd installed")
    with contextlib.ExitStack() as stack:
        try:
            engine = stack.enter_context(docker_engine.second_engine())
        except processes.ServerDidNotStart as error:
            unavailable("docker", str(error))
        yield engine


@pytest.fixture
def registry(require: Callable[[str], None]) -> Iterator[RegistryServer]:
    """A registry of images that asks for a password; what was pushed in earlier runs is still there."""
    require("registry")
    with processes.private_directory(places.CACHE / "registry") as directory:
        server = RegistryServer(directory, places.CACHE / "registry-data")
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def chromium_path(require: Callable[[str], None]) -> Path:
    """The program of a Chromium browser, for Playwright's `executable_path`."""
    require("chromium")
    found = parts.chromium_path()
    assert found is not None
    return found


@pytest_asyncio.fixture
async def docker_environment(
    docker_host: str, base_image: str, bellhop_home: Path
) -> AsyncIterator[DockerEnvironment]:
    """Boxes of a Docker engine, their sockets in `bellhop_home`."""
    environment = DockerEnvironment(
        run_directory=bellhop_home / "run",
        base_image=base_image,
        cache=bellhop_home / "cache",
        base_url=docker_host,
    )
    yield environment
    await environment.aclose()


@pytest.fixture
def bellhop_home() -> Iterator[Path]:
    """An empty directory for `BELLHOP_HOME`, with a path short enough for the sockets inside."""
    home = places.temporary_home()
    yield home
    shutil.rmtree(home, ignore_errors=True)  # what was killed may have left something that still writes
