"""Code in a box reaches for the kernel, the host's files and other processes.

Asset: the host, and everything on it. Attacker: code that the agent was made to run.
Path: system calls beyond those that programs need, mounts, devices, setuid programs, the runner's own files.
Control: no capability, no-new-privileges, a system-call filter, a user and namespaces of the box's own,
read-only mounts.

Programs of one box may trace each other, the runner included: they are one user, and the box is worth no more
than they are. A container's filter names what is allowed, a local box's what is not, so that system calls of
newer kernels are open in the latter.
"""

from __future__ import annotations

import asyncio
import io
import shutil
import tarfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import docker
import pytest

from sandbox.environments.protocol import Sandbox
from tests.attacks.frame import Control, refuted
from tests.attacks.outside import attack, program
from tests.sandbox.environments.boxes import Bench

CONTROLS = (
    Control(
        "sandbox/environments/hardening.py",
        (
            (
                '"security_opt": ["no-new-privileges:true", f"seccomp={seccomp}"]',
                '"security_opt": ["no-new-privileges:true", "seccomp=unconfined"]',
            ),
        ),
    ),
    Control("sandbox/environments/local_plan.py", ((', "--filter"', ""),)),
)
PROOF = "test_code_in_the_box"


@asynccontextmanager
async def bystander(mark: str) -> AsyncIterator[None]:
    """A process of the host with the mark in its environment."""
    process = await asyncio.create_subprocess_exec("sleep", "600", env={"MARK": mark})
    try:
        yield
    finally:
        process.kill()
        await process.wait()


def plant_setuid(backend: str, bench: Bench, box: Sandbox, request: pytest.FixtureRequest) -> None:
    """`id` in the box's workspace, owned by root and setuid: somebody's image or snapshot could bring one."""
    found = shutil.which("id")
    assert found is not None
    if backend == "local":
        target = bench.directory / "boxes" / box.name / "workspace" / "setuid-id"
        shutil.copyfile(found, target)
        target.chmod(0o4755)
        return
    entry, content = tarfile.TarInfo("setuid-id"), Path(found).read_bytes()
    entry.mode, entry.size = 0o4755, len(content)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(content))
    with closing(docker.DockerClient(base_url=request.getfixturevalue("docker_host"))) as client:
        (container,) = client.containers.list(filters={"label": f"bellhop.box={box.name}"})
        container.put_archive(box.workspace, buffer.getvalue())


async def test_code_in_the_box_gets_nothing_of_the_kernel_that_it_has_no_need_of(
    bench: Bench, backend: str, request: pytest.FixtureRequest
) -> None:
    mark = uuid.uuid4().hex
    async with bystander(mark), bench.box() as box:
        await asyncio.to_thread(plant_setuid, backend, bench, box, request)
        outcomes = await attack(box, program("kernel_surface"), {"mark": mark})
    assert len(outcomes) == 41
    broken = {name: end for name, end in outcomes.items() if end.startswith("broke")}
    assert not broken
    worked = [name for name, end in outcomes.items() if end == "worked"]
    refuted(not worked, f"code in the box had {', '.join(worked)}")
