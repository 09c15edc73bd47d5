"""The embedded set-up: a bundled Redis that leaves nothing behind, and a key that is made once."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis.asyncio

from deploy.bundled_redis import BundledRedisFailed, bundled_redis
from deploy.secret_key import secret_key
from session.settings import Settings, SettingsError
from tests.faults.waiting import until
from tests.provision import processes
from tests.provision.places import CHECKOUT

HOLDER = """
import asyncio, pathlib, sys
from deploy.bundled_redis import bundled_redis

async def hold():
    async with bundled_redis(pathlib.Path(sys.argv[1])):
        print("holds", flush=True)
        await asyncio.Event().wait()

asyncio.run(hold())
"""


async def holding(directory: Path) -> asyncio.subprocess.Process:
    """A process that holds the bundled server of that directory."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(directory), cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 60) == b"holds\n"
    return process


def runs(pid: int) -> bool:
    """Whether that process still does something."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_the_server_answers_and_ends_with_its_context(bellhop_home: Path) -> None:
    async with bundled_redis(bellhop_home) as url:
        pid = int((bellhop_home / "redis.pid").read_text())
        async with redis.asyncio.Redis.from_url(url) as client:
            assert await client.ping()
        assert runs(pid)
    assert not runs(pid)
    assert not (bellhop_home / "redis.pid").exists()


async def test_a_port_that_somebody_else_takes_first_is_left_to_them(bellhop_home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = iter([taken.getsockname()[1], processes.free_port()])
        async with (
            bundled_redis(bellhop_home, lambda: next(found)) as url,
            redis.asyncio.Redis.from_url(url) as client,
        ):
            assert await client.ping()


async def test_the_server_of_a_killed_process_is_ended_by_the_next(bellhop_home: Path) -> None:
    killed = await holding(bellhop_home)
    left_over = int((bellhop_home / "redis.pid").read_text())
    killed.kill()
    await killed.wait()
    assert runs(left_over)
    async with bundled_redis(bellhop_home):
        await until(lambda: not runs(left_over), "the leftover is gone")


async def test_the_server_of_a_living_process_is_left_alone(bellhop_home: Path) -> None:
    living = await holding(bellhop_home)
    pid = int((bellhop_home / "redis.pid").read_text())
    with pytest.raises(BundledRedisFailed, match="REDIS_URL"):
        async with bundled_redis(bellhop_home):
            pass
    assert runs(pid)
    living.terminate()
    await living.wait()
    await asyncio.to_thread(os.kill, pid, 9)


def test_the_key_is_made_once_even_by_several_at_once(bellhop_home: Path) -> None:
    settings = Settings.load({"BELLHOP_HOME": str(bellhop_home / "new")})
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: secret_key(settings), range(64)))
    assert len(keys) == 1
    assert len(keys.pop()) >= 32
    assert (bellhop_home / "new" / "secret.key").stat().st_mode & 0o777 == 0o600


def test_processes_that_must_agree_on_a_key_are_given_none() -> None:
    with pytest.raises(SettingsError, match="SECRET_KEY is missing"):
        secret_key(Settings.load({"DATABASE_URL": "postgres://db/bellhop"}))
    with pytest.raises(SettingsError, match="SECRET_KEY is too short"):
        secret_key(Settings.load({"SECRET_KEY": "short"}))
