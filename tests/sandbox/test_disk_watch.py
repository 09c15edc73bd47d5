"""A disk that runs full: what can be spared goes, then new sandboxes wait; services that write on end."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from bot.card import status_card
from sandbox.base_commit import read_base
from sandbox.bundles import Bundles
from sandbox.disk_room import MAKE_ROOM, DiskLimits, NoRoom
from sandbox.disk_watch import DiskWatch
from sandbox.environments.docker_engine import DockerEnvironment
from sandbox.environments.protocol import SandboxSpec
from sandbox.environments.service import ServiceSpec
from sandbox.images.jobs import ImageJobs
from sandbox.session_boxes import box_name
from sandbox.verification import Verifier
from session import events as e
from session.image_builds import ImageBuilds
from session.locks import Locks
from tests.emulators.model.turns import tool
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.test_jobs import FINISH

MB = 1_000_000
ENDLESS = 10**18
WORK = tool("bash", command="head -c 5M /dev/urandom > ~/large")
FILLS = ("sh", "-c", "head -c 3000000 /dev/zero > /bellhop/home/log; sleep 600")


def watch(house: Household, limits: DiskLimits) -> DiskWatch:
    return DiskWatch(
        house.environment,
        house.parts.boxes,
        house.log,
        house.reaper(),
        house.pool,
        house.parts.snapshots,
        house.image_reaper(),
        limits,
    )


async def test_a_new_sandbox_waits_for_room_and_the_card_says_so() -> None:
    async with household(settings={"DISK_FREE_GB": "1000000"}) as house:
        view = await house.run(await house.opened())
        assert view.state == "paused"
        assert re.fullmatch(
            r"waiting: this host's disk is too full for another sandbox \(\d+\.\d GB free, 1000000\.0 GB "
            r"have to stay so\); clearing what nobody needs did not help",
            status_card(view, public_url="").action,
        )
        assert await house.environment.list() == []


async def test_checks_and_builds_without_room_say_what_is_short_and_do_not_count_as_failed() -> None:
    async with household(settings={"DISK_FREE_GB": "1000000"}) as house:
        session_id, parts = await house.opened(), house.parts
        prepared = await parts.forge.prepare(session_id)
        base = await read_base(house.repository, prepared.mirror, "main")
        verifier = Verifier(
            house.environment,
            Bundles(parts.places.bundles),
            parts.doors,
            parts.images,
            parts.disk,
            parts.places.inbound,
        )
        said = await verifier.verify(session_id, "t1", base, prepared.quarantine, base.sha)
        assert (said.verdict, said.checks) == ("not_run", ())
        assert said.reason.startswith("There was no room for the checks: this host's disk is too full")
        assert said.reason.endswith(f"{MAKE_ROOM}.")

        lease = timedelta(seconds=20)
        jobs = ImageJobs(house.builder(), parts.disk, parts.catalogue, Locks(house.database), lease)
        await jobs.build_image(house.repository.slug)
        [build] = await ImageBuilds(house.database).of(house.repository.slug)
        assert (build.state, build.passing) == ("failed", True)
        assert build.cause.startswith("There is no room to build it: this host's disk is too full")
        assert build.cause.endswith(f"{MAKE_ROOM}.")
        assert await house.environment.list() == []


@pytest.mark.needs("docker")
async def test_what_can_be_spared_goes_one_after_another_until_there_is_room(
    docker_environment: DockerEnvironment, base_image: str
) -> None:
    async with household(environment=docker_environment, verify=()) as house:
        house.model.script(MODEL, WORK, FINISH)
        view = await house.run(await house.opened())
        box = box_name(view.id)
        await house.parts.snapshots.settle()

        idle = ServiceSpec("store", base_image, FILLS, ready="test $(stat -c %s /bellhop/home/log) = 3000000")
        assert await docker_environment.open_service(box, idle)
        use = await docker_environment.usage()
        [own], [service] = use.boxes, use.services
        assert (own.box, own.session_id, own.running, own.purpose) == (box, view.id, True, "")
        assert (service.box, service.session_id, service.service) == (box, view.id, "store")
        assert own.disk_bytes > 5 * MB
        assert service.disk_bytes >= 3 * MB
        assert own.memory_bytes
        assert service.memory_bytes
        assert (use.snapshots.count, use.images.count) == (1, 0)
        assert use.snapshots.disk_bytes > 5 * MB

        assert await watch(house, DiskLimits(0, service_bytes=4 * MB)).look() == ""
        assert len((await docker_environment.usage()).services) == 1
        assert await watch(house, DiskLimits(0, service_bytes=2 * MB)).look() == ""
        assert (await docker_environment.usage()).services == []
        noted = [event for event in await house.events(view.id) if isinstance(event, e.PartDegraded)]
        assert [event.part for event in noted] == ["service store"]
        notes = status_card(await house.log.view(view.id), public_url="").notes
        ended = (
            "Service store: it had written 3 MB beside its volumes, of 2 MB that a service may, and was ended"
        )
        assert ended in notes

        # The box runs: only its snapshot can be spared, and those who have a box already go on.
        full = watch(house, DiskLimits(ENDLESS))
        assert "too full for another sandbox" in await full.make_room()
        assert (await docker_environment.usage()).snapshots.count == 0
        await full.admit(box)
        with pytest.raises(NoRoom, match="too full for another sandbox"):
            await full.admit("another")

        # A stopped one goes too, and only if nothing else was enough.
        house.model.script(MODEL, FINISH)
        await house.prompt(view.id, "And now?")
        await house.run(view.id)
        await house.parts.snapshots.settle()
        assert await house.reaper().sweep(datetime.now(UTC) + timedelta(minutes=11)) == 1
        stray = SandboxSpec("nobody", "bellhop-stray", None, house.home / "in")
        async with await docker_environment.open(stray) as unknown:
            await unknown.stop()
        most = (await docker_environment.usage()).disk_bytes - MB
        assert await watch(house, DiskLimits(0, most)).make_room() == ""
        after = await docker_environment.usage()
        assert after.snapshots.count == 0
        assert sorted(each.box for each in after.boxes) == [box, "bellhop-stray"]
        # Nobody knows of a session of the other one, so nobody knows that its work is saved.
        assert await watch(house, DiskLimits(0, 1)).make_room() == ""
        assert [info.name for info in await docker_environment.list()] == ["bellhop-stray"]
        await docker_environment.remove("bellhop-stray")
