"""The same turn in containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.environments.docker_engine import DockerEnvironment
from session.catalogue import Approvals
from tests.sandbox.household import MODEL, household
from tests.sandbox.test_jobs import FINISH, FIX, PROPOSE
from tests.sandbox.workbench import git


@pytest.mark.needs("docker")
async def test_from_prompt_to_pull_request_in_containers(
    docker_host: str, base_image: str, bellhop_home: Path, tmp_path: Path
) -> None:
    environment = DockerEnvironment(
        run_directory=bellhop_home / "run",
        base_image=base_image,
        cache=tmp_path / "cache",
        base_url=docker_host,
    )
    try:
        async with household(approvals=Approvals(pull_request="auto"), environment=environment) as house:
            house.model.script(MODEL, FIX, PROPOSE, FINISH)
            view = await house.run(await house.opened())
            assert view.verification is not None
            assert view.verification.verdict == "passed"
            assert view.pull_request is not None
            bare = house.home / "billing.git"
            assert git(bare, "rev-parse", view.pull_request.branch) == view.pull_request.head_sha
            boxes = [box.name for box in await environment.list() if box.session_id == view.id]
            assert boxes == [f"bellhop-{view.id}"]
    finally:
        await environment.aclose()
