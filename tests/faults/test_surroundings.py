"""What a turn depends on goes away and comes back: Redis, PostgreSQL, the model, boxes, the forge."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import docker
import pytest
import redis.asyncio

from bot.platforms.console.people import identity
from deploy.credentials import github_accounts
from sandbox.broker.accounts import UserTokens
from sandbox.environments.protocol import SESSION_LABEL
from session import events as e
from tests.emulators.github import GitHubEmulator
from tests.emulators.model.turns import Held, rate_limited, tool
from tests.faults.processes import MODEL, SLUG, STEADY, House, house
from tests.faults.waiting import until
from tests.faults.work import FINISH, FIX, PROPOSE, assert_done_once, held_work, reached
from tests.provision.postgres import PostgresServer
from tests.provision.valkey import ValkeyServer
from tests.sandbox.workbench import Workbench

WAITING = tool("bash", command="sleep 300")


async def test_a_turn_outlives_redis(steady_worker: House) -> None:
    house = steady_worker
    held = held_work(house)
    session_id = await house.opened()
    await reached(held)
    await asyncio.to_thread(house.redis.kill)
    held.release()
    await house.hears(session_id, lambda message: message.asks)
    await asyncio.to_thread(house.redis.start)
    await house.approve(session_id)
    await assert_done_once(house, session_id)


async def test_a_turn_outlives_a_flush_of_redis(steady_worker: House) -> None:
    house = steady_worker
    held = held_work(house)
    session_id = await house.opened()
    await reached(held)
    async with redis.asyncio.Redis.from_url(house.redis.url) as client:
        await client.flushall()
    held.release()
    await house.approve(session_id)
    async with redis.asyncio.Redis.from_url(house.redis.url) as client:
        await client.flushall()
    await assert_done_once(house, session_id)


async def test_what_is_asked_while_redis_is_away_is_done_when_it_is_back(one_worker: House) -> None:
    house = one_worker
    house.model.script(MODEL, FINISH)
    await asyncio.to_thread(house.redis.kill)
    session_id = await house.opened()
    assert (await house.core.log.view(session_id)).state == "routing"
    await asyncio.to_thread(house.redis.start)
    await house.finished(session_id)
    await house.assert_one_answer(session_id)


async def test_a_turn_outlives_a_crash_of_postgres(
    one_worker: House, postgres_server: PostgresServer
) -> None:
    house = one_worker
    held = held_work(house)
    session_id = await house.opened()
    await reached(held)
    before = await house.core.log.read(session_id)
    await asyncio.to_thread(postgres_server.kill)
    held.release()
    await asyncio.to_thread(postgres_server.start)
    await house.approve(session_id)
    await assert_done_once(house, session_id)
    assert (await house.core.log.read(session_id))[: len(before)] == before


async def test_without_a_model_a_turn_is_paused_and_goes_on_by_itself(steady_worker: House) -> None:
    house = steady_worker
    away = Held(FIX)
    house.model.play(MODEL, lambda _: rate_limited("600"))
    session_id = await house.opened()
    paused = await house.event(session_id, e.TurnPaused)
    assert "scripted is unavailable" in paused.cause
    await house.hears(session_id, lambda m: m.kind == "card" and "scripted is unavailable" in m.text)
    house.model.script(MODEL, away, PROPOSE, FINISH)
    await reached(away)
    away.release()
    await house.approve(session_id)
    await assert_done_once(house, session_id)


async def test_without_a_model_its_fallback_answers(postgres_database: str, own_redis: ValkeyServer) -> None:
    settings = {**STEADY, "FALLBACK_MODELS": "away too, spare"}
    async with house(postgres_database, own_redis, settings=settings) as made:
        for name in (MODEL, "away too"):
            made.model.script(name, rate_limited("600"))
        made.model.script("spare", FINISH)
        session_id = await made.opened()
        await made.finished(session_id)
        events = await made.events(session_id)
        assert [event.model for event in events if isinstance(event, e.ModelReplied)] == ["spare"]
        assert not any(isinstance(event, e.TurnPaused) for event in events)


async def test_a_killed_box_is_opened_again_with_what_is_in_it(steady_worker: House) -> None:
    house = steady_worker
    house.model.script(MODEL, FIX, WAITING, PROPOSE, FINISH)
    session_id = await house.opened()
    await _second_call(house, session_id)
    record = json.loads((house.workspace(session_id).parent / "box.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    lost = await house.event(session_id, e.SandboxLost)
    assert lost.cause
    await house.approve(session_id)
    await assert_done_once(house, session_id)


async def test_a_box_that_is_gone_is_restored_from_its_checkpoint(steady_worker: House) -> None:
    house = steady_worker
    asks = tool("ask_user", question="Go on?")
    house.model.script(MODEL, FIX, asks, WAITING, PROPOSE, FINISH)
    session_id = await house.opened()
    question = await house.event(session_id, e.QuestionAsked)
    ada = (await house.core.log.view(session_id)).requester
    await house.sees(session_id, lambda view: view.state == "awaiting_answer")
    await house.core.commands.answer_question(session_id, question.question_id, "yes", ada)
    await _second_call(house, session_id, number=3)
    folder = house.workspace(session_id).parent
    record = json.loads((folder / "box.json").read_text())
    # Its files first: a box that is only dead begins again with them.
    folder.rename(house.home / "gone")
    os.kill(record["pid"], signal.SIGKILL)
    await house.event(session_id, e.SandboxLost)
    await house.approve(session_id)
    await assert_done_once(house, session_id)
    ready = [event for event in await house.events(session_id) if isinstance(event, e.SandboxReady)]
    assert any("last saved" in event.restored for event in ready if event.replaced)


async def test_a_killed_container_is_named_and_started_again(
    postgres_database: str, own_redis: ValkeyServer, docker_host: str, base_image: str
) -> None:
    settings = {
        **STEADY,
        "SANDBOX_BACKEND": "docker",
        "DOCKER_HOST": docker_host,
        "SANDBOX_BASE_IMAGE": base_image,
    }
    async with house(postgres_database, own_redis, settings=settings) as made:
        made.model.script(MODEL, FIX, WAITING, PROPOSE, FINISH)
        session_id = await made.opened()
        await _second_call(made, session_id)
        await asyncio.to_thread(_kill_container, docker_host, session_id)
        lost = await made.event(session_id, e.SandboxLost)
        assert "kill" in lost.cause
        await made.approve(session_id)
        await assert_done_once(made, session_id)


@pytest.mark.needs("npm")
async def test_a_pull_request_whose_opening_was_answered_with_an_error_is_found(
    postgres_database: str, own_redis: ValkeyServer, tmp_path: Path
) -> None:
    origin = Workbench.new(tmp_path / "origin")
    origin.commit("Add billing", {"total.py": "def total(lines):\n    return sum(lines) + 1\n"})
    async with GitHubEmulator(tmp_path / "github") as github:
        await github.add_repository(SLUG, origin.bare(tmp_path / "origin.git"))
        github.grant("ada", SLUG, "write")
        github.faults.server_error("POST", f"/repos/{SLUG}/pulls", when="after")
        settings = {
            **STEADY,
            "GITHUB_API_URL": github.api_url,
            "GITHUB_URL": github.web_url,
            "GITHUB_APP_ID": str(github.app.id),
            "GITHUB_APP_PRIVATE_KEY": github.app.private_key,
            "GITHUB_CLIENT_ID": github.app.client_id,
            "GITHUB_CLIENT_SECRET": github.app.client_secret,
        }
        repository = {"forge": "github", "url": github.clone_url(SLUG)}
        async with house(postgres_database, own_redis, settings=settings, repository=repository) as made:
            ada = await made.core.directory.resolve(identity("Ada"))
            tokens = UserTokens(login="ada", access_token=github.user_token("ada"))
            await github_accounts(made.core).link(ada.id, tokens)
            made.model.script(MODEL, FIX, PROPOSE, FINISH)
            session_id = await made.opened()
            await made.approve(session_id)
            view = await made.finished(session_id)
            assert view.pull_request is not None
            assert view.pull_request.author == "ada"
            assert len(github.repository(SLUG).pulls) == 1
            await made.assert_one_answer(session_id)


async def _second_call(house: House, session_id: str, *, number: int = 2) -> None:
    """Returns once the call of that number runs."""

    async def begun() -> bool:
        events = await house.events(session_id)
        return sum(isinstance(event, e.ToolCalled) for event in events) == number

    await until(begun, f"call {number} runs")


def _kill_container(docker_host: str, session_id: str) -> None:
    client = docker.DockerClient(base_url=docker_host)
    try:
        (box,) = client.containers.list(filters={"label": f"{SESSION_LABEL}={session_id}"})
        box.kill()
    finally:
        client.close()
