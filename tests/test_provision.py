"""The provisioned servers really serve, and are really gone afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import docker
import pytest
import redis.asyncio

from tests.conftest import boxed, unavailable
from tests.provision import docker_engine, forks, parts, places, postgres, processes, valkey
from tests.provision.lent_database import LentDatabase


async def test_each_postgres_database_has_its_tables_alone_and_is_usable(postgres_database: str) -> None:
    connection = await asyncpg.connect(postgres_database)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        sessions = await connection.fetch("SELECT id FROM sessions")
        await connection.execute("CREATE TABLE left_behind (id int)")
    finally:
        await connection.close()
    assert sessions == []
    assert "left_behind" not in [row["tablename"] for row in tables]


test_the_next_database_does_not_see_the_last_one = (
    test_each_postgres_database_has_its_tables_alone_and_is_usable
)


# Its own backend is left: cut too early, it would leave the others. Each has ended when this returns.
_CUT_OTHERS = (
    "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.mark.parametrize(
    ("left", "again"),
    [
        ("INSERT INTO locks (name, holder, expires_at) VALUES ('a', 'b', now())", True),
        ("CREATE TABLE left_behind (id int)", False),
        ("ALTER TABLE audit DISABLE TRIGGER ALL", False),
        ("GRANT SELECT ON events TO public", False),
        ("DELETE FROM tortoise_migrations", False),
        (_CUT_OTHERS, False),
    ],
)
def test_a_lent_database_is_as_it_was(
    postgres_server: postgres.PostgresServer, postgres_template: str, left: str, again: bool
) -> None:
    database = LentDatabase(postgres_server, postgres_template)
    with database.lent() as first:
        asyncio.run(_execute(first, left))
    with database.lent() as second:
        assert (second == first) is again
        assert asyncio.run(_rows(second, "SELECT name FROM locks")) == []
        assert asyncio.run(_rows(second, "SELECT app FROM tortoise_migrations")) != []
    database.close()


async def _rows(url: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(query)
    finally:
        await connection.close()
    return rows


async def test_redis_is_empty_at_the_start_of_a_test(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("left_behind", "1")


test_redis_is_empty_for_the_next_test_too = test_redis_is_empty_at_the_start_of_a_test


def test_a_test_of_databases_runs_on_both(database_url: str) -> None:
    assert database_url.split("://")[0] in {"sqlite", "postgres"}


@pytest.mark.databases("sqlite")
def test_the_databases_marker_narrows(database_url: str) -> None:
    assert database_url.startswith("sqlite://")


async def test_postgres_keeps_its_data_over_a_kill(require: Callable[[str], None]) -> None:
    require("postgres")
    with processes.private_directory(postgres.reachable_parent(places.CACHE / "postgres")) as directory:
        server = postgres.PostgresServer(directory)
        server.start()
        url = server.create_database()
        await _execute(url, "CREATE TABLE kept (id int)")
        server.kill()
        assert not processes.accepts(server.port)
        server.start()
        await _execute(url, "SELECT id FROM kept")
        server.stop()
    assert not processes.accepts(server.port)


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def test_docker_engine_answers(docker_host: str) -> None:
    with contextlib.closing(docker.DockerClient(base_url=docker_host)) as client:
        assert client.ping() is True


def test_docker_sockets_fit_below_the_limit_of_socket_paths() -> None:
    assert len(f"{places.short_directory()}/docker/exec/containerd/containerd-debug.sock") < 104


def test_chromium_is_a_program(chromium_path: Path) -> None:
    assert os.access(chromium_path, os.X_OK)


def test_home_leaves_room_for_a_socket(bellhop_home: Path) -> None:
    assert list(bellhop_home.iterdir()) == []
    assert len(str(bellhop_home)) < 40


def test_a_killed_run_leaves_nothing_to_the_next(require: Callable[[str], None], tmp_path: Path) -> None:
    require("redis")
    program = (
        "import sys, time; from pathlib import Path; from tests.provision import processes, valkey\n"
        "with processes.private_directory(Path(sys.argv[1])) as directory:\n"
        "    server = valkey.ValkeyServer(directory); server.start()\n"
        "    print(server.port, flush=True); time.sleep(600)\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=places.CHECKOUT
    )
    with run:
        assert run.stdout is not None
        port = int(run.stdout.readline())
        processes.remove_abandoned(tmp_path)
        assert processes.accepts(port), "a server in use must stay"
        run.send_signal(signal.SIGKILL)
    assert processes.accepts(port), "a killed run cannot stop its server itself"
    with processes.private_directory(tmp_path) as directory:
        assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [directory.name]
        assert not processes.accepts(port)


def test_a_pid_that_now_belongs_to_another_program_is_left_alone(tmp_path: Path) -> None:
    server = processes.Server(tmp_path)
    (tmp_path / "pid").write_text(str(os.getpid()))
    assert server.pid is None
    server.stop(signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    server = processes.Server(tmp_path)
    with pytest.raises(processes.ServerDidNotStart, match="no such luck"):
        server.start(
            ["sh", "-c", "echo no such luck; exit 1", str(tmp_path)], lambda: False, timeout_seconds=60
        )
    assert server.pid is None


async def test_a_port_is_given_to_one_alone() -> None:
    program = "from tests.provision.processes import free_port\nprint(*[free_port() for _ in range(400)])"
    given = (await forks.run_program(program)).split()
    assert len(set(given)) == 400


def test_every_part_tells_whether_it_is_here() -> None:
    for name, part in parts.PARTS.items():
        reason = parts.missing(name)
        assert reason is None or reason.strip(), name
        assert part.covers


def test_a_missing_part_is_a_skip_in_a_box_and_under_ci_a_failure(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "from tests.conftest import *\ndef test_it():\n    unavailable('docker', 'nothing answers')\n"
    )
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_terminal_summary\n")
    plain = _pytest(tmp_path, {})
    assert plain.returncode == 0
    assert "needs docker: nothing answers" in plain.stdout
    assert "| Skipped because this machine lacks real parts: 1 " in plain.stdout
    under_ci = _pytest(tmp_path, {"CI": "true"})
    assert under_ci.returncode == 1
    assert "needs docker: nothing answers" in under_ci.stdout


def _pytest(folder: Path, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment |= {"PYTHONPATH": str(places.CHECKOUT), **settings}
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_box_frames_its_longest_line() -> None:
    assert boxed(["ab", "a"]) == ["+----+", "| ab |", "| a  |", "+----+"]


def test_valkey_starts_again_at_the_same_port(require: Callable[[str], None], tmp_path: Path) -> None:
    require("redis")
    server = valkey.ValkeyServer(tmp_path)
    try:
        server.start()
        port = server.port
        server.kill()
        assert not processes.accepts(port)
        server.start()
        assert processes.accepts(port)
        assert server.port == port
    finally:
        server.stop()


@pytest.fixture
def can_start_engines(require: Callable[[str], None]) -> None:
    """Leave the test where an engine can only be reached and not be started."""
    require("root")
    if not docker_engine.can_be_started():
        unavailable("docker", "dockerd is not installed, so no second engine can be started")


@pytest.mark.usefixtures("can_start_engines")
def test_a_shared_engine_runs_until_its_last_user_leaves(bellhop_home: Path) -> None:
    data, run = bellhop_home / "data", bellhop_home / "run"
    with contextlib.ExitStack() as later:
        with docker_engine.shared_engine(data, run) as starter:
            other = later.enter_context(docker_engine.shared_engine(data, run))
            assert other == starter
        gc.collect()
        assert docker_engine.answers(other), "who started it has left, the other still uses it"
    assert not docker_engine.answers(other)


@pytest.mark.usefixtures("can_start_engines")
def test_a_killed_engine_starts_again(bellhop_home: Path) -> None:
    engine = docker_engine.DockerEngine(bellhop_home / "data", bellhop_home / "run")
    engine.start()
    try:
        engine.kill()
        assert not docker_engine.answers(engine.host)
        engine.start()
        assert docker_engine.answers(engine.host)
    finally:
        engine.stop()


@pytest.mark.usefixtures("can_start_engines")
def test_a_second_engine_runs_beside_the_first(docker_host: str, bellhop_home: Path) -> None:
    second = docker_engine.DockerEngine(bellhop_home / "data", bellhop_home / "run")
    second.start()
    try:
        assert second.host != docker_host
        assert docker_engine.answers(second.host)
    finally:
        second.stop()
    assert not docker_engine.answers(second.host)
