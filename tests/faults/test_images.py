"""A worker is killed in the middle of an image: another one builds it, and says what became of the first."""

from __future__ import annotations

from deploy.boxes import open_environment
from sandbox.images.running_build import WORKER_LOST
from session.image_builds import ImageBuild, ImageBuilds
from tests.faults.processes import SLUG, house
from tests.faults.waiting import until
from tests.provision.valkey import ValkeyServer

SETUP = "echo begun; until test -e /bellhop/in/go; do sleep 0.05; done"


async def test_a_worker_killed_during_a_build_is_taken_over(
    postgres_database: str, own_redis: ValkeyServer
) -> None:
    # The second worker keeps its lock also where it stands still for a while.
    repository, settings = {"setup": [SETUP]}, {"IMAGE_INTERVAL_MINUTES": "30", "LEASE_SECONDS": "8"}
    async with house(postgres_database, own_redis, repository=repository, settings=settings) as made:
        builds = ImageBuilds(made.core.database)

        async def begun(number: int) -> bool:
            found = await builds.of(SLUG)
            return len(found) == number and "begun" in await builds.log(found[0].id)

        await until(lambda: begun(1), "the first worker builds, and its log is on record meanwhile")
        await made.programs[0].kill()
        await made.start()
        await until(lambda: begun(2), "the second worker builds")
        running, lost = await builds.of(SLUG)
        assert (lost.state, lost.cause, lost.passing) == ("failed", WORKER_LOST, True)
        (made.home / "inbound" / f"build-{running.id}" / "go").touch()

        async def newest() -> ImageBuild:
            return (await builds.of(SLUG))[0]

        async def ready() -> bool:
            return (await newest()).state == "ready"

        await until(ready, "the image is ready")
        environment = await open_environment(made.core.settings, prepare=False)
        assert [image.reference for image in await environment.images()] == [(await newest()).reference]
        assert await environment.list() == []
        await environment.aclose()
