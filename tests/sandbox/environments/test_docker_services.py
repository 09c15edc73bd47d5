"""Services in containers beside a box: reached there and nowhere else, and gone with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from docker import DockerClient
from docker.models.containers import Container

from sandbox.environments.docker_containers import OWNER_LABEL
from sandbox.environments.docker_services import DockerServices
from sandbox.environments.hardening import SECCOMP_PROFILE, softened
from sandbox.environments.service import ServiceFailed, ServiceSpec
from tests.sandbox.environments.boxes import ASK, Bench, run, service_image

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.needs("docker")]
READY = "python3 -c \"import socket; socket.create_connection(('localhost', 8231))\""


@pytest.fixture(scope="module")
def image(engine: DockerClient, base_image: str) -> Iterator[str]:
    with service_image(engine, base_image) as name:
        yield name


def beside(engine: DockerClient, box: str) -> list[Container]:
    """The services of that box, running or not, and whatever else was left of them."""
    found = engine.containers.list(all=True, filters={"label": "bellhop.service"}, ignore_removed=True)
    return [each for each in found if each.labels["bellhop.beside"].endswith(f"-{box}")]


async def test_a_service_is_reached_from_its_box_and_begins_anew_with_it(
    containers: Bench, engine: DockerClient, image: str
) -> None:
    store = ServiceSpec("next", image, env={"GREETING": "hello"}, ready=READY)
    door = containers.directory / "door"
    door.mkdir()
    spec = replace(containers.spec(), hosts=("next", "other"))
    environment = containers.environment
    async with containers.box(spec) as box:
        assert await environment.open_service(box.name, store)
        assert not await environment.open_service(box.name, store)
        assert (await run(box, ASK.format("localhost", "/keep"))).output == "hello x\n"
        assert (await run(box, ASK.format("next", ""))).output == "hello x\n"
        (first,) = beside(engine, spec.name)
        flags_of_a_service(engine, first, image)
        assert [info.name for info in await environment.list()] == [spec.name]
        # As it is wanted now, in place of the one that runs.
        assert await environment.open_service(box.name, replace(store, env={"GREETING": "good day"}))
        assert (await run(box, ASK.format("next", ""))).output == "good day\n"
        await box.stop()
        assert beside(engine, spec.name) == []
        async with await environment.open(spec) as again:
            assert (await run(again, ASK.format("localhost", ""))).exit_code != 0
            assert await environment.open_service(spec.name, store)
            assert (await run(again, ASK.format("next", ""))).output == "hello\n", (
                "its data went with the box"
            )
        # A box that moves, because it is given a door, keeps its names; a proxy does not come between.
        moved = replace(spec, door=door)
        async with await environment.open(moved) as again:
            assert again.origin == "restarted"
            assert beside(engine, spec.name) == []
            assert await environment.open_service(spec.name, store)
            assert (await run(again, ASK.format("next", ""))).output == "hello\n"
            await environment.end(spec.name)
            assert beside(engine, spec.name) == []
        async with await environment.open(moved):
            assert await environment.open_service(spec.name, store)
            # An accident that nobody is told of: the service lives on in a network that nothing reaches.
            (container,) = engine.containers.list(filters={"label": f"bellhop.box={spec.name}"})
            assert await environment.sweep_services() == 0
            container.kill()
            assert await environment.sweep_services() == 1
        async with await environment.open(moved):
            assert await environment.open_service(spec.name, store)
    assert beside(engine, spec.name) == []


def flags_of_a_service(engine: DockerClient, service: Container, image: str) -> None:
    """It has every flag of a box, the network of a box of ours, memory for its data, the box's names."""
    (box,) = engine.containers.list(filters={"name": f"^{service.labels['bellhop.beside']}$"})
    config, seccomp = service.attrs["HostConfig"], SECCOMP_PROFILE.read_text()
    network, data = f"container:{box.id}", ("/data",)
    assert softened(config, seccomp, network, data) == []
    assert softened({**config, "NetworkMode": "host"}, seccomp, network, data) != []
    assert softened({**config, "Tmpfs": {"/tmp": "", "/data": "exec"}}, seccomp, network, data) != []
    of_a_box = [{"Type": "bind", "Source": "/", "Target": "/bellhop/in", "ReadOnly": True}]
    assert softened({**config, "Mounts": of_a_box}, seccomp, network, data) != []
    [names] = service.attrs["Mounts"]
    assert (names["Destination"], names["RW"]) == ("/etc/hosts", False)
    assert service.attrs["Config"]["User"] == "10001:10001"
    assert engine.images.get(image).id == service.attrs["Image"]


async def test_a_service_that_is_not_there_is_a_sentence_with_its_last_words(
    containers: Bench, engine: DockerClient, image: str
) -> None:
    spec = containers.spec()
    cases = [
        (ServiceSpec("b", image, ("fail",), ready=READY), "no such table"),
        (
            ServiceSpec("c", image, ready="echo not yet; false", ready_seconds=1),
            "c did not answer within 1 s: `echo not yet; false` said not yet.",
        ),
        (
            ServiceSpec("d", "registry.invalid/none:1"),
            "d has no image. The image registry.invalid/none:1 is not",
        ),
    ]
    async with containers.box(spec) as box:
        (found,) = engine.containers.list(filters={"label": f"bellhop.box={spec.name}"})
        patient = DockerServices(engine, found.labels[OWNER_LABEL], None, glance_seconds=60)
        with pytest.raises(
            ServiceFailed, match=r"a ended with exit code 1 when it was started\. Its last outp"
        ):
            await asyncio.to_thread(patient.open, box.name, ServiceSpec("a", image, ("fail",)))
        assert beside(engine, spec.name) == []
        for service, says in cases:
            with pytest.raises(ServiceFailed) as failed:
                await containers.environment.open_service(box.name, service)
            assert says in str(failed.value)
            assert beside(engine, spec.name) == []
        kept = await box.snapshot("1")
        with pytest.raises(ServiceFailed, match="a box that was kept: name another"):
            await containers.environment.open_service(box.name, ServiceSpec("e", kept))
        await containers.environment.remove_snapshot(kept)
        await box.kill()
        with pytest.raises(ServiceFailed, match=r"could not be started: .*running container"):
            await containers.environment.open_service(box.name, ServiceSpec("f", image))
    assert beside(engine, spec.name) == []
