"""The processes people meet: the bot is killed during a turn, the pages lose what is behind them."""

from __future__ import annotations

import asyncio
import re

import httpx

from session.listing import SessionFilter
from tests.emulators.model.turns import Held
from tests.emulators.slack.emulator import SlackEmulator
from tests.faults.processes import MODEL, STEADY, House, house
from tests.faults.waiting import until
from tests.faults.work import FINISH, reached
from tests.provision.postgres import PostgresServer
from tests.provision.valkey import ValkeyServer

SECONDS = 60


async def test_a_bot_that_was_killed_tells_the_rest_and_nothing_twice(
    postgres_database: str, own_redis: ValkeyServer
) -> None:
    async with SlackEmulator(allow_unread=True) as slack:
        settings = {
            **STEADY,
            "SLACK_API_URL": slack.api_url,
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
        }
        async with house(postgres_database, own_redis, settings=settings) as made:
            held = Held(FINISH)
            made.model.script(MODEL, held)
            bot = await made.start("bot")
            await slack.wait_for_connection(SECONDS)
            request = await slack.person("Ada").say(slack.channel("billing"), "fix the total of invoices")
            await reached(held)
            card = await slack.wait_for_post(request, "Working", SECONDS)
            await bot.kill()
            held.release()
            (row,) = await made.core.log.sessions(SessionFilter())
            await made.finished(row.id)
            assert len(slack.posts(request)) == 1
            again = await made.start("bot")
            await slack.wait_for_post(request, "The total is right now.", SECONDS)
            await slack.wait_for(lambda: "Done" in card.shown, SECONDS)
            assert len(slack.posts(request)) == 2
            assert await again.end() == 0


async def test_the_pages_say_what_is_away(one_worker: House, postgres_server: PostgresServer) -> None:
    house = one_worker
    web = await house.start("web")
    await web.says("event=serving")
    found = re.search(r"address=(\S+)", web.said)
    assert found is not None
    async with httpx.AsyncClient(base_url=found[1], timeout=SECONDS) as client:

        async def status() -> str:
            return str((await client.get("/healthz")).json()["status"])

        async def becomes(wanted: str) -> None:
            async def is_so() -> bool:
                return await status() == wanted

            await until(is_so, f"/healthz says {wanted}", SECONDS)

        await becomes("ok")
        await asyncio.to_thread(house.redis.kill)
        await becomes("degraded")
        await asyncio.to_thread(postgres_server.kill)
        await becomes("down")
        assert (await client.get("/healthz")).status_code == 503
        await asyncio.to_thread(postgres_server.start)
        await asyncio.to_thread(house.redis.start)
        await becomes("ok")
    assert await web.end() == 0
