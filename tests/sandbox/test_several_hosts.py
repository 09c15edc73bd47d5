"""Two hosts, each with an engine, a broker and a directory of its own: sessions and images get from one to
the other, by way of the record and a registry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox.environments.docker_engine import DockerEnvironment
from sandbox.environments.registry import RegistryAway
from sandbox.images.reaping import ImageReaper
from sandbox.preparation import NOT_KEPT
from sandbox.session_boxes import box_name
from session import events as e
from session.boxes import Boxes
from session.catalogue import Catalogue
from session.image_builds import ImageBuilds
from session.locks import Locks
from session.saved_work import SavedWork
from session.snapshots import Snapshots
from tests.emulators.model.turns import tool
from tests.faults.waiting import until
from tests.provision import small_image
from tests.provision.docker_engine import DockerEngine
from tests.provision.places import temporary_home
from tests.provision.registry import RegistryServer
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.test_jobs import FINISH

pytestmark = pytest.mark.needs("docker", "registry")

WORK = tool(
    "bash", command="echo tracked >>README.md; echo untracked >notes.md; mkdir ~/bin; echo made >~/bin/tool"
)
LOOK = tool("bash", command="tail -n 1 README.md; cat notes.md; cat ~/bin/tool ~/set-up 2>&1")


@dataclass(frozen=True, slots=True)
class Two:
    """Both hosts. The engine of the first may be stopped; the second's is the one that other tests use."""

    first: Household
    second: Household
    engine: DockerEngine
    registry: RegistryServer


def environment(host: str, image: str, home: Path, registry: RegistryServer) -> DockerEnvironment:
    return DockerEnvironment(
        run_directory=home / "run",
        base_image=image,
        cache=home / "cache",
        base_url=host,
        registry=registry.address,
        logins=registry.credentials / "config.json",
    )


@pytest.fixture
async def two(
    second_engine: DockerEngine, docker_host: str, base_image: str, registry: RegistryServer
) -> AsyncIterator[Two]:
    # All of it goes to the registry and back, so it is a small one.
    small = await asyncio.to_thread(small_image.ensure, docker_host, base_image)
    image = await asyncio.to_thread(small_image.imported, second_engine.host, small)
    await asyncio.to_thread(small_image.imported, docker_host, small)
    homes = temporary_home(), temporary_home()
    here = environment(second_engine.host, image, homes[0], registry)
    there = environment(docker_host, image, homes[1], registry)
    setup = ("echo set-up >~/set-up",)
    async with (
        household(environment=here, verify=(), setup=setup) as first,
        household(environment=there, beside=first) as second,
    ):
        yield Two(first, second, second_engine, registry)
        second_engine.start()
        for house in (first, second):
            for box in await house.environment.list():
                await house.environment.remove(box.name)
        for host in (here, there):
            # The engines live on, and one of them has what other tests keep as well.
            for reference in [*await host.snapshots(), *(image.reference for image in await host.images())]:
                await host.remove_image(reference)
            await host.aclose()


async def seen(house: Household, session_id: str) -> list[str]:
    """The lines that a follow-up sees when it looks round on that host."""
    house.model.script(MODEL, LOOK, FINISH)
    await house.prompt(session_id, "What is there?")
    await house.run(session_id)
    return house.model.requests_to(MODEL)[-1].said_by("tool")[-1].text.split("\n")


def image_reaper(house: Household) -> ImageReaper:
    """What sweeps images there, after the repository went from the catalogue."""
    parts = house.parts
    return ImageReaper(
        house.environment,
        ImageBuilds(house.database),
        Locks(house.database),
        Catalogue([]),
        parts.doors,
        parts.places.inbound,
    )


async def kept(house: Household) -> None:
    """What the host has is copied and in the registry."""
    await house.parts.snapshots.settle()
    await house.sharing().share()


async def test_a_session_goes_on_at_another_host_with_all_it_had(two: Two) -> None:
    first, second = two.first, two.second
    built = await first.builder().look(first.repository.slug)
    assert built is not None
    assert built.state == "ready", await ImageBuilds(first.database).log(built.id)
    first.model.script(MODEL, WORK, FINISH)
    session_id = await first.opened()
    await first.run(session_id)
    await kept(first)

    await asyncio.to_thread(two.engine.kill)
    lines = await seen(second, session_id)
    assert lines[:4] == ["tracked", "untracked", "made", "set-up"]
    view = await second.log.view(session_id)
    assert view.sandbox is not None
    assert view.sandbox.replaced
    assert view.sandbox.restored.startswith("everything is as it was")
    await kept(second)

    # The first host comes back: its box is out of date, and so is its snapshot.
    await asyncio.to_thread(two.engine.start)
    assert [box.name for box in await first.environment.list()] == [box_name(session_id)]
    assert await first.reaper().sweep() == 2
    assert await first.environment.list() == []
    assert len(await second.environment.list()) == 1
    place = await second.environment.place()
    [newest] = await Snapshots(first.database).of(session_id)
    assert (newest.place, newest.turns) == (place, 2)
    recorded = await Boxes(first.database).of(session_id)
    assert recorded is not None
    assert recorded.place == place

    # One host has built the image, and the other uses it.
    assert await second.builder().look(second.repository.slug) is None
    second.model.script(MODEL, LOOK, FINISH)
    other = await second.opened()
    await second.run(other)
    [ready] = [event for event in await second.events(other) if isinstance(event, e.SandboxReady)]
    assert ready.image.endswith(built.reference.rpartition(":")[2])
    assert "set-up" in second.model.requests_to(MODEL)[-1].said_by("tool")[-1].text
    assert await second.builder().look(second.repository.slug) is None

    # What nobody needs goes from the registry as well, whichever host comes to it.
    [copy] = [build for build in await ImageBuilds(first.database).all() if build.is_copy]
    was_shared = newest.shared, copy.shared
    assert all(two.registry.has(shared) for shared in was_shared)
    week_later = datetime.now(UTC) + timedelta(days=8)
    assert await first.parts.snapshots.sweep(week_later) == 1
    assert await image_reaper(first).sweep() == 1
    for box in await second.environment.list():
        await second.environment.remove(box.name)
    assert await second.parts.snapshots.sweep(week_later) == 1
    assert await image_reaper(second).sweep() == 1
    assert not any(two.registry.has(shared) for shared in was_shared)


async def test_without_the_registry_every_file_comes_along_and_no_old_box_is_taken_up(two: Two) -> None:
    first, second = two.first, two.second
    two.registry.stop()
    first.model.script(MODEL, WORK, FINISH)
    session_id = await first.opened()
    await first.run(session_id)
    await first.parts.snapshots.settle()
    with pytest.raises(RegistryAway):
        await first.sharing().share()
    sharing = asyncio.create_task(second.sharing().run(0.1))

    assert (await seen(second, session_id))[:2] == ["tracked", "untracked"]
    later = tool("bash", command="echo later >notes.md; rm ~/bin/tool")
    second.model.script(MODEL, later, FINISH)
    await second.prompt(session_id, "Go on")
    await second.run(session_id)
    await second.parts.snapshots.settle()

    # Back on the first host, whose box still has what it was like before.
    two.registry.start()

    async def is_shared() -> bool:
        return bool(await Snapshots(second.database).shared())

    await until(is_shared, "what was not pushed is pushed when the registry is back")
    sharing.cancel()
    await asyncio.wait([sharing])
    assert (await seen(first, session_id))[:2] == ["tracked", "later"]
    assert await second.reaper().sweep() == 1
    assert await second.environment.list() == []

    # The snapshot is newer than what the second host took in, and the work itself is not kept any more.
    first.model.script(MODEL, tool("bash", command="echo last >notes.md"), FINISH)
    await first.prompt(session_id, "Go on")
    await first.run(session_id)
    await kept(first)
    assert await SavedWork(first.database).let_go(timedelta(seconds=-1)) == 2
    assert (await seen(second, session_id))[:2] == ["tracked", "last"]
    restored = (await second.log.view(session_id)).sandbox
    assert restored is not None
    assert restored.restored.endswith(NOT_KEPT)
