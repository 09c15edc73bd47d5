"""A worker is rung for once for each repository that somebody is about to ask something of."""

from __future__ import annotations

from session.catalogue import Catalogue, Repository
from session.people import Person
from session.queue import Queue
from session.warming import Warming
from tests.session.room import CATALOGUE, Room


async def test_the_repository_that_is_meant_is_rung_for_once(room: Room, ada: Person) -> None:
    old = Repository(slug="acme/old", forge="local", url="/srv", archived=True)
    catalogue = Catalogue([*CATALOGUE.repositories, old])
    warming = Warming(room.log, room.directory, catalogue, room.queue)

    async def rung(slug: str) -> bool:
        return await room.queue.status("warm_box", slug, 0) == "queued"

    await warming.for_person(ada.id)
    for slug in ("acme/old", "acme/unheard-of"):
        await warming.for_repository(slug)
    assert await room.queue.depth() == 0
    await room.queued(ada)
    await room.opened(ada)
    before = await room.queue.depth()
    assert before is not None
    await warming.for_person((await room.person("Vera", "viewer")).id, "acme/web")
    assert not await rung("acme/web")
    for _ in range(3):
        await warming.for_person(ada.id)
    assert await rung("acme/web"), "her latest session has no repository yet, the one before has"
    await warming.for_person(ada.id, "ACME/api")
    assert await rung("acme/api")
    assert await room.queue.depth() == before + 2
    async with Queue("redis://127.0.0.1:1/0") as away:
        await Warming(room.log, room.directory, CATALOGUE, away).for_person(ada.id)
