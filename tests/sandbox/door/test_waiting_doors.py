"""The door of a box that waits: shut until it is given to a session, that session's from then on, and only
once."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from sandbox.broker.door.doors import Doors
from sandbox.broker.door.parts import DoorTaken
from session import events as e
from session.catalogue import Catalogue, Repository, UnknownRepository
from session.people import Origin, Prompt
from tests.sandbox.door.relay import relay
from tests.sandbox.door.stage import ADA, BOX, SESSION, Stage, stage

WAITING, WORKER = "warm-1a2b", "worker"
OTHER = Repository(slug="acme/web", forge="local", url="/srv/web.git")


@asynccontextmanager
async def client_in(directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client in the box with that door."""
    trust = ssl.create_default_context(cafile=str(directory / "authority.pem"))
    async with relay(directory / "door.sock") as port:
        proxy = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(proxy=proxy, verify=trust, trust_env=False, timeout=60) as client:
            yield client


async def session_of(s: Stage, session_id: str, slug: str | None) -> str:
    """A further session, in that repository or in none yet."""
    opened = e.SessionOpened(title="Else", origin=Origin(platform="web"), requester=ADA)
    asked = e.PromptQueued(prompt=Prompt(id=f"{session_id}-1", text="Else", author=ADA))
    chosen = [e.RepositoryChosen(slug=slug, branch="main", how="named", reason="named")] if slug else []
    await s.log.create(session_id, [opened, asked, *chosen])
    return session_id


async def test_nothing_leaves_a_box_before_it_is_a_sessions_and_then_what_that_session_may() -> None:
    async with stage(secrets={"DB": "hunter2hunter2"}, box_secrets=("DB",)) as s:
        waiting = await s.doors.open_waiting("ACME/billing", WAITING)
        async with client_in(waiting) as client:
            with pytest.raises(httpx.ProxyError, match="403"):
                await client.get(s.url())
            refused = await client.get(s.url(scheme="http"))
            assert refused.status_code == 403
            assert "belongs to one nothing may leave it" in refused.text
            assert not list((waiting / "secrets").iterdir())
            assert s.resolved == []
            [first, _] = [row.entry for row in await s.audited()]
            assert (first.actor, first.outcome) == (f"waiting box {WAITING}", "refused")
            assert (first.session_id, first.detail["repository"]) == ("", "acme/billing")

            assert await s.doors.assign(SESSION, WAITING, {}, by=WORKER) == waiting
            assert (await client.get(s.url())).status_code == 200
        assert (waiting / "secrets" / "DB").read_text() == "hunter2hunter2"
        [*_, given, reached] = [row.entry for row in await s.audited()]
        assert (given.action, given.actor, given.target) == ("door.assign", WORKER, WAITING)
        assert (given.outcome, given.session_id, reached.session_id) == ("allowed", SESSION, SESSION)


async def test_a_door_is_given_once_to_a_session_of_its_repository_and_outlives_the_broker() -> None:
    async with stage() as s:
        parts = replace(s.parts, catalogue=Catalogue([s.repository, OTHER]))
        doors = Doors(s.home / "more-doors", parts)
        elsewhere, nowhere = await session_of(s, "s2", OTHER.slug), await session_of(s, "s3", None)
        beside = await session_of(s, "s4", s.repository.slug)
        waiting = await doors.open_waiting(s.repository.slug, WAITING)
        for session_id in (elsewhere, nowhere):
            with pytest.raises(DoorTaken, match="waits for a session of acme/billing"):
                await doors.assign(session_id, WAITING, {}, by=WORKER)
        await doors.aclose()

        again = Doors(s.home / "more-doors", parts)
        try:
            await again.restore()
            async with client_in(waiting) as client:
                with pytest.raises(httpx.ProxyError, match="403"):
                    await client.get(s.url())
                await again.assign(SESSION, WAITING, {}, by=WORKER)
                await again.assign(SESSION, WAITING, {}, by=WORKER)
                with pytest.raises(DoorTaken, match="not one that waits"):
                    await again.assign(beside, WAITING, {}, by=WORKER)
            await again.aclose()
            await again.restore()
            async with client_in(waiting) as client:
                assert (await client.get(s.url())).status_code == 200
            outcomes = [r.entry.outcome for r in await s.audited() if r.entry.action == "door.assign"]
            assert outcomes == ["refused", "refused", "allowed", "refused"]
        finally:
            await again.aclose()


async def test_only_a_box_that_was_made_to_wait_waits() -> None:
    async with stage() as s:
        with pytest.raises(ValueError, match="no name of a box that waits"):
            await s.doors.open_waiting("acme/billing", BOX)
        with pytest.raises(ValueError, match="no name of a box that waits"):
            await s.doors.assign(SESSION, BOX, {}, by=WORKER)
        with pytest.raises(UnknownRepository):
            await s.doors.open_waiting("acme/elsewhere", WAITING)
        # Its worker died in between, and the reaper closed the door: it is made anew, for the session.
        directory = await s.doors.assign(SESSION, WAITING, {}, by=WORKER)
        async with client_in(directory) as client:
            assert (await client.get(s.url())).status_code == 200


async def test_a_connection_from_before_is_cut_when_the_box_is_given_away() -> None:
    async with stage(idle_seconds=600) as s, asyncio.timeout(60):
        waiting = await s.doors.open_waiting("acme/billing", WAITING)
        async with relay(waiting / "door.sock") as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                ask = f"GET {s.url(scheme='http')} HTTP/1.1\r\nHost: {s.url().split('/')[2]}\r\n\r\n"
                writer.write(ask.encode())
                assert b"403" in await reader.readline()
                await s.doors.assign(SESSION, WAITING, {}, by=WORKER)
                await reader.read()
                assert reader.at_eof()
            finally:
                writer.close()
