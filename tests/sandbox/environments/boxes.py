"""Boxes for the tests: environments on this machine, small limits, call ids."""

from __future__ import annotations

import io
import itertools
import shutil
import tarfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from docker import DockerClient

from sandbox.environments.docker_box import DockerSandbox
from sandbox.environments.docker_engine import DockerEnvironment
from sandbox.environments.protocol import Environment, Sandbox, SandboxLimits, SandboxSpec
from sandbox.environments.runner_client import ExecResult

MIB = 1024 * 1024
# On the disk is room for all that is kept of one command's output, 64 MiB: printing alone must not fill it.
LIMITS = SandboxLimits(
    memory_bytes=256 * MIB, cpus=1.0, pids=96, disk_bytes=80 * MIB, open_files=1024, tmp_bytes=32 * MIB
)
SERVICE = """\
import http.server, os, sys
os.chmod("/data", 0o700)  # as a database does with what it keeps
if sys.argv[1:] == ["fail"]:
    sys.exit("no such table")
class Kept(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/keep":
            open("/data/kept", "a").write("x")
        text = open("/data/kept", "a+")
        text.seek(0)
        body = (os.environ.get("GREETING", "") + " " + text.read()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", 8231), Kept).serve_forever()
"""
ASK = (
    "python3 -c \"import urllib.request as r; print(r.urlopen('http://{}:8231{}').read().decode().strip())\""
)
_numbers = itertools.count(1)


def call_id() -> str:
    """An id that no call had before."""
    return f"call-{next(_numbers)}-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class Bench:
    """An environment under test with a directory for what its boxes are given."""

    environment: Environment
    directory: Path
    limits: SandboxLimits = LIMITS

    def spec(
        self, name: str | None = None, image: str | None = None, door: Path | None = None
    ) -> SandboxSpec:
        """A small box with a name of its own."""
        name = name or f"test-{uuid.uuid4().hex[:10]}"
        inbound = self.directory / "in" / name
        inbound.mkdir(parents=True, exist_ok=True)
        return SandboxSpec(
            session_id="s-1",
            name=name,
            image=image,
            inbound=inbound,
            env={"GREETING": "hello"},
            limits=self.limits,
            labels={"bellhop.test": "1"},
            door=door,
        )

    @asynccontextmanager
    async def box(self, spec: SandboxSpec | None = None) -> AsyncIterator[Sandbox]:
        """An open box that is gone afterwards."""
        spec = spec or self.spec()
        try:
            async with await self.environment.open(spec) as sandbox:
                yield sandbox
        finally:
            await self.environment.remove(spec.name)


class SmallBoxes(DockerEnvironment):
    """Containers with the tests' small limits, whatever was asked for."""

    async def open(self, spec: SandboxSpec) -> DockerSandbox:
        """The box of that name."""
        return await super().open(replace(spec, limits=LIMITS))


async def run(sandbox: Sandbox, command: str, timeout_seconds: float = 60.0) -> ExecResult:
    """The end of a command under a fresh call id."""
    return await sandbox.runner.exec(call_id(), command, timeout_seconds=timeout_seconds)


@contextmanager
def service_image(engine: DockerClient, base_image: str) -> Iterator[str]:
    """An image of a service on port 8231 that keeps its data in a volume; `ASK` asks it."""
    name = f"bellhop-test/service-{uuid.uuid4().hex[:8]}"
    made = engine.containers.create(base_image, ["true"], network_mode="none")
    try:
        with io.BytesIO() as buffer:
            with tarfile.open(fileobj=buffer, mode="w") as archive:
                entry = tarfile.TarInfo("opt/service.py")
                entry.size = len(SERVICE)
                archive.addfile(entry, io.BytesIO(SERVICE.encode()))
            made.put_archive("/", buffer.getvalue())
        changes = 'VOLUME /data\nENTRYPOINT ["python3", "-u", "/opt/service.py"]\nCMD []'
        made.commit(name, "1", changes=changes)
    finally:
        made.remove()
    try:
        yield f"{name}:1"
    finally:
        engine.images.remove(f"{name}:1", force=True)


def emptied(directory: Path) -> Iterator[Path]:
    """A directory that is gone afterwards, whoever owns what is in it."""
    directory.mkdir(parents=True, exist_ok=True)
    yield directory
    with suppress(FileNotFoundError):
        shutil.rmtree(directory)
