"""A process that cannot work says so in a sentence that names what to change, and ends with 1."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path

import pytest

from deploy import wiring
from session.catalogue import CatalogueError
from session.settings import Settings, SettingsError
from tests.deploy.commands import PATIENCE_SECONDS, bare_environment, bellhop
from tests.provision.places import CHECKOUT


async def test_complaints_are_sentences_and_not_tracebacks(whole: dict[str, str]) -> None:
    malformed = Path(whole["BELLHOP_HOME"]).with_name("malformed.yaml")
    malformed.write_text("- slug: acme/web\n  forge: local\n")
    ended = await asyncio.gather(
        bellhop("broker", environment={**whole, "OPENAI_API_KEY": ""}),
        bellhop("web", environment={**whole, "WEB_PORT": "0", "REPOSITORIES_FILE": str(malformed)}),
        bellhop("bot", environment={**whole, "LEASE_SECONDS": "a while"}),
    )
    assert [each.code for each in ended] == [1, 1, 1]
    said = [each.complained for each in ended]
    assert "bellhop: OPENAI_API_KEY is missing" in said[0]
    assert "bellhop: malformed.yaml:1: " in said[1]
    assert "bellhop: LEASE_SECONDS must be a number" in said[2]
    assert not any("Traceback" in words for words in said)


async def test_the_bot_needs_a_chat(whole: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="SLACK_BOT_TOKEN is missing"):
        await wiring.bot(Settings.load(whole))


async def test_bot_and_worker_do_without_a_key_of_their_own_and_the_others_do_not(
    whole: dict[str, str], redis_url: str
) -> None:
    apart = {**whole, "REDIS_URL": redis_url, "WEB_PORT": "0", "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    apart["SANDBOX_BACKEND"] = "docker"
    apart["BELLHOP_HOME"] = whole["HOME"]  # a directory that is there, as one that is shared must be
    names = ("bot", "web", "worker", "broker")
    ended = await asyncio.gather(*(bellhop(name, environment=apart) for name in names))
    assert [each.code for each in ended] == [1, 1, 1, 1]
    said = [each.complained for each in ended]
    assert "bellhop: SLACK_BOT_TOKEN is missing" in said[0]
    assert "bellhop: SECRET_KEY is missing" in said[1]
    assert "SECRET_KEY" not in said[2]
    assert "engine" in said[2]
    assert "bellhop: SECRET_KEY is missing" in said[3]


async def test_a_taken_port_is_named(whole: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings.load({**whole, "WEB_PORT": str(taken.getsockname()[1])})
        for process in (wiring.web, wiring.up):
            with pytest.raises(SettingsError, match=r"WEB_PORT=\d+ cannot be used"):
                await process(settings)


async def test_a_catalogue_that_is_not_there_is_named(bellhop_home: Path) -> None:
    environment = {**bare_environment(bellhop_home), "REPOSITORIES_FILE": "/nowhere/repositories.yaml"}
    with pytest.raises(CatalogueError, match=r"/nowhere/repositories\.yaml: cannot be read"):
        await wiring.worker(Settings.load(environment))


async def test_up_serves_and_ends_in_good_order(whole: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-u",
        "-m",
        "deploy.command",
        "up",
        cwd=CHECKOUT,
        env={**whole, "WEB_PORT": "0"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert b"No chat is set up" in await process.stdout.readline()
        assert b"Sign in, once: http://127.0.0.1:" in await process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest, _ = await process.communicate()
    assert (process.returncode, rest) == (0, b"")
