"""Boxes wait for sessions that fit them, each session gets one for itself, and none outlives its use."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.demo.replies import Reply
from sandbox.environments.docker_engine import DockerEnvironment
from sandbox.environments.images import IMAGE_LABEL
from sandbox.environments.protocol import PURPOSE_LABEL, BoxInfo, EnvironmentUnavailable, SandboxSpec
from sandbox.session_boxes import box_name
from sandbox.warm_pool.making import WARM
from sandbox.warm_pool.pool import WarmPool
from session import events as e
from session.locks import Locks
from session.people import Person
from session.warm_boxes import WarmBox, WarmBoxes
from tests.emulators.model.turns import tool
from tests.sandbox.environments.boxes import run
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.images.test_builder import IGNORED, built, push
from tests.sandbox.test_jobs import FINISH
from tests.session.room import eventually

ONE = {"warm": 1}
LATER = timedelta(hours=1, minutes=1)
ADMIN = Person(id="p_admin", name="Admin")


async def waiting(house: Household) -> list[BoxInfo]:
    """The boxes that wait, as the record and the host agree."""
    place = await house.environment.place()
    known = [box.box for box in await WarmBoxes(house.database).on(place)]
    found = [box for box in await house.environment.list() if box.name in known]
    assert len(found) == len(known)
    assert all((box.running, box.labels[PURPOSE_LABEL], box.session_id) == (True, WARM, "") for box in found)
    return found


async def started(house: Household, *steps: Reply) -> e.SandboxReady:
    """How the box of a new session came about, whose turn has taken those steps."""
    house.model.script(MODEL, *steps, FINISH)
    view = await house.run(await house.opened())
    assert view.sandbox is not None
    return view.sandbox


async def test_a_session_gets_the_box_that_waits_at_the_head_of_its_branch_and_the_pool_is_renewed() -> None:
    setup = ("echo set-up >> .venv-log",)
    async with household(verify=(), setup=setup, files=IGNORED, policy=ONE) as house:
        first = await built(house)
        await house.pool.look()
        [warm] = await waiting(house)
        assert warm.labels[IMAGE_LABEL] == first.reference
        assert await house.reaper().sweep() == 0
        await house.pool.look()
        assert await waiting(house) == [warm]

        head = push(house, "Say more", {"README.md": "# More\n"})
        ready = await started(house, tool("bash", command="cat README.md .venv-log; git rev-parse HEAD"))
        assert (ready.how, ready.box, ready.image) == ("warm", warm.name, first.reference)
        assert (ready.replaced, ready.restored) == (False, "")
        shown = house.model.requests_to(MODEL)[-1].said_by("tool")[-1].text
        assert shown.strip() == f"# More\nset-up\n{head}"
        session_id = house.sessions[-1]
        assert await house.reaper().sweep() == 0
        house.model.script(MODEL, FINISH)
        await house.prompt(session_id, "Go on")
        again = (await house.run(session_id)).sandbox
        assert again is not None
        assert (again.how, again.box) == ("kept", warm.name)

        await house.pool.look()
        [refilled] = await waiting(house)
        second = await built(house)
        await house.pool.look()
        [renewed] = await waiting(house)
        assert (renewed.labels[IMAGE_LABEL], refilled.labels[IMAGE_LABEL]) == (
            second.reference, first.reference,
        )  # fmt: skip
        assert await house.reaper().sweep(datetime.now(UTC) + timedelta(days=9)) == 1
        assert await waiting(house) == [renewed], "the session's box went, the other waits on"
        assert not (house.home / "doors" / warm.name).exists()
        await house.pool.look(datetime.now(UTC) + LATER)
        [young] = await waiting(house)
        assert young.name != renewed.name


async def test_of_two_sessions_one_gets_the_box_and_one_that_does_not_fit_is_never_taken() -> None:
    async with household(verify=(), policy=ONE, settings={"WARM_BOXES": "1"}) as house:
        await house.pool.look()
        [warm] = await waiting(house)
        house.model.script(MODEL, FINISH, FINISH)
        sessions = [await house.opened(), await house.opened()]
        views = await asyncio.gather(*(house.run(session_id) for session_id in sessions))
        ready = [view.sandbox for view in views if view.sandbox is not None]
        assert sorted(each.how for each in ready) == ["base", "warm"]
        assert [each.box for each in ready if each.how == "warm"] == [warm.name]
        assert {each.box for each in ready} - {warm.name} <= {box_name(each) for each in sessions}

        await house.pool.look()
        [stale] = await waiting(house)
        push(house, "Need a cache", {".bellhop/config.yaml": CACHE})
        assert (await started(house)).how == "base", "its names are not in the box that waits"
        assert await waiting(house) == [stale]
        # What waits goes by age; its successor has the names.
        await house.pool.look(datetime.now(UTC) + LATER)
        assert (await started(house)).how == "warm"


CACHE = "services:\n- {name: cache, command: sleep 60, ready: 'true'}\n"


async def test_a_worker_that_dies_on_its_way_to_the_box_loses_nothing() -> None:
    async with household(verify=(), setup=("echo set-up >> log",), policy=ONE, others=("acme/web",)) as house:
        await built(house)
        await house.pool.look()
        [warm] = await waiting(house)
        taken = await house.opened()
        spec = SandboxSpec(taken, "", warm.labels[IMAGE_LABEL], house.home)
        assert await house.pool.take(taken, spec, house.repository) == warm.name
        assert await house.reaper().sweep() == 0
        house.model.script(MODEL, tool("bash", command="cat README.md; git status --short"), FINISH)
        view = await house.run(taken)
        assert view.sandbox is not None
        assert view.sandbox.box == warm.name
        assert "# Billing" in house.model.requests_to(MODEL)[-1].said_by("tool")[-1].text

        # The next one dies at the same point, and somebody says that another repository is meant.
        await house.pool.look()
        [warm] = await waiting(house)
        moved = await house.opened()
        assert await house.pool.take(moved, spec, house.repository) == warm.name
        other = e.RepositoryChosen(slug="acme/web", branch="main", how="picked", reason="it was picked")
        await house.log.record(moved, lambda _: [other])
        house.model.script(MODEL, tool("bash", command="cat README.md"), FINISH)
        view = await house.run(moved)
        assert view.sandbox is not None
        assert view.sandbox.box == box_name(moved)
        assert "acme/web" in house.model.requests_to(MODEL)[-1].said_by("tool")[-1].text
        assert warm.name not in [box.name for box in await house.environment.list()]


async def test_what_is_left_behind_goes_and_a_halt_and_the_end_empty_the_pool() -> None:
    async with household(verify=(), policy=ONE) as house:
        boxes, place = WarmBoxes(house.database), await house.environment.place()
        await boxes.begin("warm-lost", place, house.repository.slug, "fit", "basis")
        await house.pool.look()
        assert await house.environment.list() == [], "another worker may be making it"
        await house.pool.look(datetime.now(UTC) + timedelta(minutes=6))
        [warm] = await waiting(house)
        await house.environment.end(warm.name)
        await house.pool.look()
        [warm] = await waiting(house)
        # Nobody knows of this one any more.
        await boxes.give_up(warm.name, place)
        await boxes.forget(warm.name, place)
        assert await house.reaper().sweep() == 1
        assert await house.environment.list() == []

        await house.pool.look()
        assert len(await waiting(house)) == 1
        await house.parts.switch.engage(ADMIN, "")
        await house.pool.look()
        assert await house.environment.list() == await waiting(house) == []
        assert not list((house.home / "doors").glob("warm-*"))
        await house.parts.switch.release(ADMIN)

        await house.pool.look()
        assert len(await waiting(house)) == 1
        running = asyncio.create_task(house.pool.run())
        await asyncio.sleep(0)  # it has begun
        running.cancel()
        await asyncio.wait({running})
        assert await house.environment.list() == await waiting(house) == []


async def test_whoever_is_about_to_ask_finds_a_box_and_what_cannot_be_made_is_left_for_a_while() -> None:
    async with household(verify=(), settings={"WARM_BOXES": "1"}, others=("acme/web",)) as house:
        await house.pool.look()
        assert await waiting(house) == [], "nobody asked for anything in the last hour"
        assert (await started(house)).how == "base"
        await house.pool.look()
        [busy] = await waiting(house)
        await house.pool.warm_box("acme/nowhere")
        await house.pool.warm_box("ACME/web")
        await house.pool.look()
        [hinted] = await boxes_of(house)
        assert (hinted.repository, hinted.box == busy.name) == ("acme/web", False)

        await house.pool.empty()
        (house.home / "acme-web.git").rename(house.home / "away")
        await house.pool.look()
        assert await waiting(house) == []
        (house.home / "away").rename(house.home / "acme-web.git")
        await house.pool.look()
        assert await waiting(house) == [], "it is not tried again at once"


async def test_a_hint_reaches_the_pools_of_all_hosts_and_two_workers_of_one_make_one_box() -> None:
    settings = {"WARM_BOXES": "2"}
    async with (
        household(verify=(), settings=settings) as here,
        household(beside=here, settings=settings) as there,
    ):
        hints, slug = here.pool.parts.hints, here.repository.slug
        twin, other = another_worker(here, here), another_worker(there, here)
        await other.warm_box(slug)
        assert await hints.live() == [slug]
        # Each worker alone sees to it that a box waits; the lock and the record keep it at one for each host.
        await asyncio.gather(here.pool.look(), twin.look(), other.look())
        await asyncio.gather(here.pool.look(), twin.look())
        for house in (here, there):
            [box] = await waiting(house)
            assert [each.name for each in await house.environment.list()] == [box.name]

        # One that runs hears of it by itself, while its twin looks too; when it ends its box goes.
        await asyncio.gather(here.pool.empty(), other.empty())
        past = await here.database.clock() - timedelta(seconds=1)
        await here.database.execute("UPDATE warm_hints SET ends_at = ?", past)
        assert await hints.live() == []
        running = [asyncio.create_task(pool.run()) for pool in (here.pool, twin)]
        await here.pool.look()
        assert await here.environment.list() == [], "the hint has run out"
        await other.warm_box(slug)

        async def ready() -> list[str]:
            return [box.box for box in await boxes_of(here) if box.state == "ready"]

        async def waits() -> bool:
            return bool(await ready())

        assert await eventually(waits, 30)
        await asyncio.gather(here.pool.look(), twin.look())
        assert len(await ready()) == len(await here.environment.list()) == 1
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        assert await here.environment.list() == []


def another_worker(at: Household, rung_with: Household) -> WarmPool:
    """The pool of a further worker on that host, which hears what rings at the other."""
    parts = replace(at.pool.parts, hints=rung_with.pool.parts.hints)
    return WarmPool(parts, at.parts.catalogue, Locks(at.database), at.parts.switch, 2)


async def boxes_of(house: Household) -> list[WarmBox]:
    return await WarmBoxes(house.database).on(await house.environment.place())


@pytest.mark.needs("docker")
async def test_a_container_waits_shut_and_is_the_sessions_own_afterwards(
    docker_host: str, base_image: str, bellhop_home: Path, tmp_path: Path
) -> None:
    def engine(address: str) -> DockerEnvironment:
        return DockerEnvironment(
            run_directory=bellhop_home / "run",
            base_image=base_image,
            cache=tmp_path / "cache",
            base_url=address,
        )

    environment = engine(docker_host)
    files: dict[str, str | bytes | None] = {".bellhop/config.yaml": CACHE}
    try:
        async with household(environment=environment, verify=(), files=files, policy=ONE) as house:
            await house.pool.look()
            [warm] = await waiting(house)
            inbound = house.parts.places.inbound / warm.name
            async with await environment.open(SandboxSpec("", warm.name, None, inbound)) as box:
                said = (await run(box, "curl -sS http://example.com; getent hosts cache")).output
                assert "until it belongs to one nothing may leave it" in said
                assert "127.0.0.1" in said
                await run(box, "touch /tmp/mark")
            ready = await started(house, tool("bash", command="ls /tmp/mark; cat README.md"))
            assert (ready.how, ready.box, ready.services) == ("warm", warm.name, ("cache",))
            shown = house.model.requests_to(MODEL)[-1].said_by("tool")[-1].text
            assert shown.split("\n")[:2] == ["/tmp/mark", "# Billing"], "the very container, still running"

            away = engine(f"unix://{tmp_path}/nobody.sock")
            parts = replace(house.pool.parts, environment=away)
            lost = WarmPool(parts, house.parts.catalogue, Locks(house.database), house.parts.switch, 1)
            with pytest.raises(EnvironmentUnavailable):
                await lost.look()
            await lost.look_quietly()
    finally:
        await environment.aclose()
