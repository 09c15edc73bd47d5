"""What people are told in chat when a part behind the bot is away."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import sentences
from bot.platforms.console.platform import ConsolePlatform
from tests.bot.rooms import open_rooms
from tests.provision import places, processes
from tests.provision.databases import migrate
from tests.provision.postgres import PostgresServer, reachable_parent

NO_REDIS = "redis://127.0.0.1:1/0"


async def test_without_a_queue_the_card_says_that_work_starts_later(tmp_path: Path) -> None:
    async with open_rooms(f"sqlite://{tmp_path / 'bellhop.db'}", NO_REDIS) as rooms:
        console = ConsolePlatform()
        async with rooms.serving(console):
            await console.people.say("round invoices half up")
            card = await console.threads.wait_for(lambda m: m.kind == "card" and "queue" in m.text, 60)
    assert "Job queue: it does not answer; work starts as soon as it is back" in card.text


@pytest.mark.needs("postgres")
async def test_without_the_database_the_person_alone_is_told_that_nothing_was_taken() -> None:
    with processes.private_directory(reachable_parent(places.CACHE / "postgres")) as directory:
        server = PostgresServer(directory)
        server.start()
        try:
            url = server.create_database()
            await migrate(url)
            async with open_rooms(url, NO_REDIS) as rooms:
                console = ConsolePlatform()
                async with rooms.serving(console, with_feed=False):
                    server.kill()
                    await console.people.say("round invoices half up")
                    told = await console.threads.wait_for(lambda m: m.only_for == "ada", 60)
                    assert told.text == sentences.refusals.DATABASE_DOWN
                    server.start()
                    assert await rooms.sessions() == []
        finally:
            server.stop()
