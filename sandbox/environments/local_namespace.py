"""Boxes made of this host's Linux namespaces, where no container engine answers."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sandbox.environments.bubblewrap_builder import bubblewrap_command
from sandbox.environments.choice import Backend, EnvironmentSettings
from sandbox.environments.images import BaseImage, ImageTag, KeptImage, WantedBase
from sandbox.environments.local_box import LocalSandbox
from sandbox.environments.local_files import KEPT, copy_box, remove_folder
from sandbox.environments.local_images import PREFIX, LocalImages
from sandbox.environments.local_plan import HOSTS, box_plan, hosts_file, placed_packages
from sandbox.environments.local_processes import BoxRecord, end, end_from, lives, pid_in, started_ticks_of
from sandbox.environments.local_snapshots import LocalSnapshots
from sandbox.environments.local_usage import local_use
from sandbox.environments.namespace_plan import BoxPlan, host_binds, host_python
from sandbox.environments.openings import Openings
from sandbox.environments.protocol import (
    NAME_LABEL,
    SESSION_LABEL,
    BoxInfo,
    EnvironmentUnavailable,
    Origin,
    SandboxFailed,
    SandboxSpec,
)
from sandbox.environments.runner_client import RunnerGone
from sandbox.environments.runner_launch import SOCKET_NAME, adopted_runner, answering_runner
from sandbox.environments.service import ServiceFailed, ServiceSpec
from sandbox.environments.unshare_builder import unshare_command
from sandbox.environments.usage import Disk, FullService, HostUse, disks_of

Builder = Callable[[BoxPlan], list[str]]

# By the program each needs, the better first.
BUILDERS: Mapping[str, Builder] = {"bwrap": bubblewrap_command, "unshare": unshare_command}
NAMES = re.compile(r"[a-z0-9][a-z0-9-]{0,50}")
START_SECONDS = 30.0
# Each box of a worker that is root gets a host user of its own, so that its limit of processes is its own.
FIRST_UID = 200_000
UIDS = 60_000


class LocalEnvironment:
    """Boxes in `directory`, one folder each; snapshots and images are copies beside them.

    `program` builds the boxes: "bwrap" or "unshare"; None takes the better one that is installed.
    """

    def __init__(self, *, directory: Path, program: str | None = None) -> None:
        self._boxes = directory.absolute() / "boxes"
        self._snapshots = LocalSnapshots(directory.absolute() / "snapshots")
        self._images = LocalImages(directory.absolute() / "images")
        self._settings = directory.absolute() / "settings"
        self._packages: Path | None = None
        self._placing = asyncio.Lock()
        programs = BUILDERS if program is None else {program: BUILDERS[program]}
        self._program = next((name for name in programs if shutil.which(name)), None)
        self._openings: Openings[LocalSandbox] = Openings()

    @property
    def name(self) -> str:
        return "local"

    @property
    def isolation(self) -> str:
        return (
            f"A box on this machine, weaker than a container: namespaces by {self._program}, no network, "
            "most of the host hidden and the rest read-only."
        )

    @property
    def forgetful(self) -> bool:
        return False

    async def check(self) -> None:
        """Returns when an empty box can be made. Raises: EnvironmentUnavailable."""
        if self._program is None:
            raise EnvironmentUnavailable(
                "Boxes without a container engine need bubblewrap (the package `bubblewrap`) or util-linux's "
                "`unshare`: install one, or start a Docker engine. Nothing is run without isolation."
            )
        await asyncio.to_thread(self._try_program, self._program)

    async def prepare(self) -> None:
        """The settings that boxes are given are there: they are made of what the host has."""
        await self._placed_packages()

    async def open(self, spec: SandboxSpec) -> LocalSandbox:
        """The box of that name, adopted, restarted or created.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        if not NAMES.fullmatch(spec.name):
            raise SandboxFailed(f"{spec.name!r} cannot name a box: use a-z, 0-9 and -, at most 51")
        return await self._openings.open(spec.name, lambda: self._open(spec))

    async def list(self) -> Sequence[BoxInfo]:
        """Every box in the directory."""
        return await asyncio.to_thread(self._list)

    async def find(self, name: str) -> BoxInfo | None:
        """What is written down of that box."""
        record = await asyncio.to_thread(self.record, name)
        return _info(record) if record is not None else None

    async def remove(self, name: str) -> None:
        """The box's processes and files are gone."""
        async with self._openings.alone(name):
            await self.end(name)
            if NAMES.fullmatch(name):
                await asyncio.to_thread(remove_folder, self._boxes / name)

    async def open_service(self, box: str, service: ServiceSpec) -> bool:
        """Never: there are no containers here. Raises: ServiceFailed."""
        raise ServiceFailed(
            service.name,
            f"needs a container of the image {service.image}, and sandboxes made of this machine's "
            "namespaces have none beside them: start a Docker engine, or give it, in place of `image`, a "
            "`command` that runs in the sandbox.",
        )

    async def sweep_services(self) -> int:
        """None: what runs in a box ends with it."""
        return 0

    async def end_full_services(self, most_bytes: int) -> Sequence[FullService]:
        """None: there are none beside boxes."""
        return ()

    async def usage(self) -> HostUse:
        """As this machine's kernel counts it."""
        names = [box.name for box in await self.list()]
        records = [record for name in names if (record := self.record(name)) is not None]
        return await asyncio.to_thread(local_use, self._boxes, records, self._images.list())

    async def disks(self) -> Sequence[Disk]:
        """That of the directory."""
        self._boxes.mkdir(mode=0o700, parents=True, exist_ok=True)
        return await asyncio.to_thread(disks_of, (self._boxes,))

    async def snapshots(self) -> Sequence[str]:
        """Every copy."""
        return await asyncio.to_thread(self._snapshots.list)

    async def remove_snapshot(self, reference: str) -> None:
        """The copy is gone. Raises: SandboxFailed for what is no reference of a snapshot."""
        await asyncio.to_thread(self._snapshots.remove, reference)

    async def place(self) -> str:
        """This directory on this machine."""
        return await asyncio.to_thread(self._images.place)

    async def base(self, wanted: WantedBase) -> BaseImage:
        """The machine's own programs; a note says what else was wanted."""
        return await asyncio.to_thread(self._images.base, wanted)

    async def images(self) -> Sequence[KeptImage]:
        """Every repository image in the directory."""
        return await asyncio.to_thread(self._images.list)

    async def remove_image(self, reference: str) -> None:
        """The copy is gone; boxes have copies of their own. Raises: SandboxFailed."""
        await asyncio.to_thread(self._images.remove, reference)

    async def keep_box(self, name: str, tag: ImageTag, labels: Mapping[str, str]) -> KeptImage:
        """A copy of the box's folders as an image. Raises: SandboxFailed."""
        return await asyncio.to_thread(self._images.keep, self._boxes / name, tag, labels)

    @property
    def registry(self) -> None:
        """Its boxes are folders, which no registry takes."""
        return None

    async def aclose(self) -> None:
        """Nothing is held: boxes go on."""

    async def end(self, name: str) -> None:
        """Every process of the box is gone; its files stay.

        Raises: SandboxFailed when the kernel does not end it.
        """
        record = await asyncio.to_thread(self.record, name)
        if record is not None and record.running() and record.pid is not None:
            await asyncio.to_thread(end, record.pid, name)

    def record(self, name: str) -> BoxRecord | None:
        """What is written down of the box, None when there is none."""
        try:
            content = json.loads((self._boxes / name / "box.json").read_text())
        except FileNotFoundError:
            return None
        return BoxRecord(**content)

    async def snapshot(self, name: str, tag: str) -> str:
        """A copy of the box's files under that tag. Raises: SandboxFailed."""
        return await asyncio.to_thread(self._snapshots.take, self._boxes / name, tag)

    async def _open(self, spec: SandboxSpec) -> LocalSandbox:
        record = await asyncio.to_thread(self.record, spec.name)
        socket_path = self._boxes / spec.name / "socket" / SOCKET_NAME
        origin: Origin = "created" if record is None else "restarted"
        spec = await asyncio.to_thread(_with_former_door, spec, record)
        packages = await self._placed_packages()
        if record is not None and record.running() and not _has_door(record, spec):
            # What a running box sees cannot be changed.
            await self.end(spec.name)
        elif record is not None and record.running():
            try:
                runner = await adopted_runner(socket_path)
                return LocalSandbox(self, spec.name, runner, "adopted")
            except RunnerGone:
                await self.end(spec.name)
        if self._program is None:
            await self.check()
        if record is not None:
            kept, labels = {**record.env, **spec.env}, {**spec.labels, **record.labels}
            spec = replace(spec, env=kept, labels=labels)
        box = secrets.token_hex(8) if record is None else record.box
        plan = await asyncio.to_thread(self._prepare, spec, box, origin, packages)
        await asyncio.to_thread(self._start, plan, spec.name)
        try:
            runner = await answering_runner(socket_path, START_SECONDS, lambda: not lives(plan.pid_file))
        except RunnerGone as error:
            await asyncio.to_thread(end_from, plan.pid_file, spec.name)
            said = (self._boxes / spec.name / "log").read_text(errors="replace")[-500:].strip()
            raise SandboxFailed(f"box {spec.name}: its runner did not start: {said or error}") from error
        await asyncio.to_thread(self._write_record, spec, box, plan.pid_file)
        return LocalSandbox(self, spec.name, runner, origin)

    def _prepare(self, spec: SandboxSpec, box: str, origin: Origin, packages: Path) -> BoxPlan:
        """The box's folders, filled and owned as they should be."""
        folder = self._boxes / spec.name
        self._boxes.mkdir(mode=0o700, parents=True, exist_ok=True)
        uid = FIRST_UID + zlib.crc32(spec.name.encode()) % UIDS if os.geteuid() == 0 else None
        if origin == "created":
            shutil.rmtree(folder, ignore_errors=True)
            if spec.image is not None:
                copy_box(self._copy_path(spec.image), folder, uid)
        for name in (*KEPT, "socket"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            if uid is not None:
                os.chown(folder / name, uid, uid)
        spec.inbound.mkdir(parents=True, exist_ok=True)
        (folder / HOSTS).write_text(hosts_file(spec.hosts))
        (folder / HOSTS).chmod(0o644)
        (folder / "socket" / SOCKET_NAME).unlink(missing_ok=True)
        return box_plan(spec, box, folder, uid, packages)

    async def _placed_packages(self) -> Path:
        """The machine's package settings, read once in the life of this program."""
        async with self._placing:
            if self._packages is None:
                self._packages = await asyncio.to_thread(placed_packages, self._settings)
            return self._packages

    def _start(self, plan: BoxPlan, name: str) -> None:
        assert self._program is not None
        plan.pid_file.unlink(missing_ok=True)
        # setsid --fork lets go of the box at once: it must outlive this process and be nobody's zombie.
        command = ["setsid", "--fork", *BUILDERS[self._program](plan)]
        with (self._boxes / name / "log").open("wb") as log:
            done = subprocess.run(
                command,
                # Handed down and not named in the command line, which everyone on the host can read.
                env=plan.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
            )
        if done.returncode != 0:
            raise SandboxFailed(f"box {name}: setsid ended with {done.returncode}")

    def _write_record(self, spec: SandboxSpec, box: str, pid_file: Path) -> None:
        pid = pid_in(pid_file.read_text())
        record = {
            "name": spec.name,
            "session_id": spec.session_id,
            "labels": {**spec.labels, NAME_LABEL: spec.name, SESSION_LABEL: spec.session_id},
            "env": dict(spec.env),
            "box": box,
            "pid": pid,
            "started_ticks": started_ticks_of(pid),
            "door": None if spec.door is None else str(spec.door.absolute()),
        }
        path = self._boxes / spec.name / "box.json"
        path.with_suffix(".new").write_text(json.dumps(record))
        path.with_suffix(".new").replace(path)

    def _list(self) -> Sequence[BoxInfo]:
        names = sorted(path.name for path in self._boxes.glob("[!.]*"))
        records = [record for name in names if (record := self.record(name)) is not None]
        return [_info(record) for record in records]

    def _copy_path(self, reference: str) -> Path:
        kept = reference.startswith(PREFIX)
        return self._images.path(reference) if kept else self._snapshots.path(reference)

    def _try_program(self, program: str) -> None:
        binds, links = host_binds()
        python, python_binds = host_python()
        binds += python_binds
        self._boxes.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".check-", dir=self._boxes) as directory:
            pid_file, root = Path(directory) / "pid", Path(directory) / "root"
            uid = FIRST_UID if os.geteuid() == 0 else None
            plan = BoxPlan(binds, links, 1 << 20, {}, "/", ("/bin/true",), uid, pid_file, root, python)
            done = subprocess.run(BUILDERS[program](plan), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise EnvironmentUnavailable(
                f"{program} cannot make a box here ({done.stderr.strip()[-300:]}): allow unprivileged user "
                "namespaces, or start a Docker engine. Nothing is run without isolation."
            )


def _info(record: BoxRecord) -> BoxInfo:
    return BoxInfo(record.name, record.session_id, record.running(), record.labels)


def _with_former_door(spec: SandboxSpec, record: BoxRecord | None) -> SandboxSpec:
    """A box that is opened without mention of a door keeps the one it has."""
    if spec.door is not None or record is None or record.door is None or not Path(record.door).is_dir():
        return spec
    return replace(spec, door=Path(record.door))


def _has_door(record: BoxRecord, spec: SandboxSpec) -> bool:
    return spec.door is None or record.door == str(spec.door.absolute())


def _make(settings: EnvironmentSettings) -> LocalEnvironment:
    return LocalEnvironment(directory=settings.directory)


BACKEND = Backend("local", 2, _make)
