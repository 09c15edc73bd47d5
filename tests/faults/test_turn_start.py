"""What a turn needs before it can begin is away: the card says what and what to do, and it goes on later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bot.platforms.console.people import identity
from deploy.credentials import github_accounts
from sandbox.broker.accounts import UserTokens
from session import events as e
from tests.emulators.github import GitHubEmulator
from tests.faults.processes import MODEL, SLUG, STEADY, House, house
from tests.faults.relay import relay
from tests.faults.work import FINISH
from tests.provision.valkey import ValkeyServer
from tests.sandbox.workbench import Workbench


async def test_without_an_engine_a_turn_is_paused_and_goes_on_when_it_is_back(
    postgres_database: str, own_redis: ValkeyServer, docker_host: str, base_image: str, bellhop_home: Path
) -> None:
    async with relay(bellhop_home / "engine.sock", docker_host) as engine:
        settings = {
            **STEADY,
            "SANDBOX_BACKEND": "docker",
            "DOCKER_HOST": engine.address,
            "SANDBOX_BASE_IMAGE": base_image,
        }
        async with house(postgres_database, own_redis, settings=settings) as made:
            made.model.script(MODEL, FINISH)
            await made.finished(await made.opened())
            await engine.stop()
            session_id = await made.opened("Fix it once more")
            paused = await made.event(session_id, e.TurnPaused)
            assert f"No Docker engine answers at {engine.address}: start one" in paused.cause
            await card_says(made, session_id, "No Docker engine answers", "start one, set DOCKER_HOST")
            await goes_on(made, session_id, engine.start)


@pytest.mark.needs("npm")
async def test_without_the_forges_git_a_turn_is_paused_and_goes_on_when_it_is_back(
    postgres_database: str, own_redis: ValkeyServer, tmp_path: Path
) -> None:
    origin = Workbench.new(tmp_path / "origin")
    origin.commit("Add billing", {"total.py": "def total(lines):\n    return sum(lines) + 1\n"})
    async with GitHubEmulator(tmp_path / "github") as github:
        await github.add_repository(SLUG, origin.bare(tmp_path / "origin.git"))
        github.grant("ada", SLUG, "write")
        away = github.faults.server_error("GET", f"/{SLUG}.git/info/refs", times=1_000)
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
            tokens = UserTokens(login="ada", access_token=github.user_token("ada"), refresh_token=None)
            await github_accounts(made.core).link(ada.id, tokens)
            session_id = await made.opened()
            paused = await made.event(session_id, e.TurnPaused)
            assert f"Fetching {SLUG} failed" in paused.cause
            await card_says(made, session_id, f"Fetching {SLUG} failed", "It can be tried again")

            async def back() -> None:
                away.times = 0

            await goes_on(made, session_id, back)


async def card_says(made: House, session_id: str, *words: str) -> None:
    """Returns once the card shows these words, and that nobody needs to do anything for it to go on."""
    shown = (*words, "goes on by itself")
    await made.hears(session_id, lambda m: m.kind == "card" and all(word in m.text for word in shown))


async def goes_on(made: House, session_id: str, come_back: Callable[[], Awaitable[None]]) -> None:
    """What was away comes back, and the same turn ends with an answer."""
    made.model.script(MODEL, FINISH)
    await come_back()
    await made.finished(session_id)
    kinds = [type(event) for event in await made.events(session_id)]
    assert kinds.count(e.TurnStarted) == 1
    await made.assert_one_answer(session_id)
