"""Where the boxes of the benchmark stand: a Docker engine, our environment on it, and the docker command."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path

from docker import DockerClient

from sandbox.environments.docker_engine import DockerEnvironment
from sandbox.environments.protocol import Sandbox, SandboxLimits, SandboxSpec
from tests.provision import base_image, docker_engine
from tests.sandbox.environments.boxes import Bench, run


@dataclass(frozen=True, slots=True)
class Yard:
    """An engine at `host` whose `image` is the one of all boxes, ours and others'."""

    host: str
    image: str
    bench: Bench
    client: DockerClient

    def spec(self, *, image: str | None = None, limits: SandboxLimits | None = None) -> SandboxSpec:
        """A box as sessions get them, without a door: the floors have none. `limits` None: the usual ones."""
        return replace(self.bench.spec(image=image), limits=limits or SandboxLimits())

    async def opened(self, spec: SandboxSpec) -> Sandbox:
        """A box that has answered its first call."""
        box = await self.bench.environment.open(spec)
        await call(box)
        return box

    async def docker(self, *arguments: str) -> float:
        """The seconds that this docker command takes. Raises: RuntimeError when it fails."""
        started = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            "docker", *arguments,
            env={**os.environ, "DOCKER_HOST": self.host},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        if await process.wait() != 0:
            raise RuntimeError(f"docker {' '.join(arguments)} failed")
        return time.perf_counter() - started

    async def docker_run(self) -> float:
        """The seconds of `docker run … true`; what is left of it is removed afterwards."""
        name = f"bellhop-bench-{uuid.uuid4().hex[:8]}"
        try:
            return await self.docker("run", "--name", name, self.image, "true")
        finally:
            await self.docker("rm", "--force", name)


@asynccontextmanager
async def yard() -> AsyncIterator[Yard]:
    """A yard without boxes; those that are left in it at the end are removed."""
    with tempfile.TemporaryDirectory(prefix="bellhop-bench-") as name, docker_engine.engine() as host:
        image = await asyncio.to_thread(base_image.ensure, host)
        directory = Path(name)
        environment = DockerEnvironment(
            run_directory=directory / "run", base_image=image, cache=directory / "cache", base_url=host
        )
        with closing(DockerClient(base_url=host)) as client:
            try:
                yield Yard(host, image, Bench(environment, directory), client)
            finally:
                for info in await environment.list():
                    await environment.remove(info.name)
                await environment.aclose()


async def call(box: Sandbox) -> float:
    """The seconds of a tool call that does nothing. Raises: RuntimeError when it fails."""
    started = time.perf_counter()
    done = await run(box, "true")
    took = time.perf_counter() - started
    if done.exit_code != 0:
        raise RuntimeError(f"box {box.name}: `true` ended with {done.exit_code}, {done.cause}")
    return took


def p50(seconds: Sequence[float]) -> float:
    """The median, in milliseconds."""
    return statistics.median(seconds) * 1000


def p95(seconds: Sequence[float]) -> float:
    """What 19 of 20 stay below, in milliseconds."""
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1] * 1000
