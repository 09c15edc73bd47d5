"""The same turn in containers."""

from __future__ import annotations

from contextlib import closing

import pytest
from docker import DockerClient

from sandbox.environments.docker_engine import DockerEnvironment
from session.catalogue import Approvals
from tests.sandbox.environments.boxes import ASK, service_image
from tests.sandbox.household import MODEL, household
from tests.sandbox.test_jobs import FINISH, FIX, PROPOSE
from tests.sandbox.workbench import git

CONFIG = """\
services:
  - name: store
    image: {image}
    ready: python3 -c "import socket; socket.create_connection(('localhost', 8231))"
"""


@pytest.mark.needs("docker")
async def test_from_prompt_to_pull_request_in_containers(
    docker_environment: DockerEnvironment, docker_host: str, base_image: str
) -> None:
    with closing(DockerClient(base_url=docker_host)) as engine, service_image(engine, base_image) as image:
        await turn(docker_environment, image)


async def turn(environment: DockerEnvironment, image: str) -> None:
    """The whole turn, in which agent and checks need a service that runs in a container."""
    files: dict[str, str | bytes | None] = {".bellhop/config.yaml": CONFIG.format(image=image)}
    async with household(
        approvals=Approvals(pull_request="auto"),
        environment=environment,
        verify=("sh check.sh", ASK.format("store", "")),
        files=files,
    ) as house:
        house.model.script(MODEL, FIX, PROPOSE, FINISH)
        view = await house.run(await house.opened())
        assert view.verification is not None
        assert view.verification.verdict == "passed"
        assert view.pull_request is not None
        bare = house.home / "billing.git"
        assert git(bare, "rev-parse", view.pull_request.branch) == view.pull_request.head_sha
        boxes = [box.name for box in await environment.list() if box.session_id == view.id]
        assert boxes == [f"bellhop-{view.id}"]
        assert view.sandbox is not None
        assert (view.sandbox.services, view.degraded) == (("store",), ())
