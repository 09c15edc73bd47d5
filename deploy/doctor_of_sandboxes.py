"""What `bellhop doctor` finds out about sandboxes: whether they can be made, what runs, what that costs."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping, Sequence
from uuid import uuid4

from deploy.boxes import environment_settings, open_environment
from deploy.finding import Check, Finding
from sandbox.disk_room import DiskLimits, gigabytes
from sandbox.environments.choice import choose_environment
from sandbox.environments.protocol import (
    Environment,
    EnvironmentUnavailable,
    ImageMissing,
    SandboxFailed,
    SandboxSpec,
)
from sandbox.environments.usage import Disk, HostUse, Use
from session.boxes import Boxes
from session.database import Database, DatabaseDown
from session.settings import Settings

MOST_LINES = 12
PROBE = "doctor"
PROBE_SECONDS = 30.0
_TRYING_OUT = " Good for trying out; for production, start a Docker engine and set SANDBOX_BACKEND=docker"


async def _sandbox(settings: Settings) -> Finding:
    try:
        environment = await open_environment(settings, prepare=False)
    except EnvironmentUnavailable as error:
        return Finding("sandbox", False, str(error))
    await environment.aclose()
    trying_out = _TRYING_OUT if environment.name == "local" else ""
    return Finding("sandbox", True, f"{environment.name}: {environment.isolation}{trying_out}")


async def _in_use(settings: Settings) -> Finding:
    try:
        environment = await open_environment(settings, prepare=False)
    except EnvironmentUnavailable:
        return Finding("in use", None, "not looked at: sandboxes cannot be made. Mend that first")
    try:
        use, disks = await environment.usage(), await environment.disks()
        owners = await _owners(settings, await environment.place())
    except (EnvironmentUnavailable, SandboxFailed) as error:
        return Finding("in use", False, str(error))
    finally:
        await environment.aclose()
    return told(use, disks, DiskLimits.of(settings), owners)


async def _owners(settings: Settings, place: str) -> Mapping[str, str]:
    """Sessions by their boxes at that place, as far as the database tells."""
    try:
        async with await Database.open(settings.database_address) as database:
            return await Boxes(database).at(place) if await database.migrated() else {}
    except DatabaseDown:
        # That it does not answer is a finding of its own.
        return {}


def told(use: HostUse, disks: Sequence[Disk], limits: DiskLimits, owners: Mapping[str, str]) -> Finding:
    """What is in use, against what may be; `owners` are the sessions of boxes that were made for none."""
    running = sum(box.running for box in use.boxes)
    parts = [
        f"{_counted(len(use.boxes), 'box', 'boxes')} ({running} running)",
        _counted(len(use.services), "service"),
        _counted(use.snapshots.count, "snapshot"),
        _counted(use.images.count, "image"),
    ]
    seconds = sum(each.cpu_seconds for each in use.running)
    costs = (
        f"{gigabytes(use.memory_bytes)} of memory, {seconds:.0f} s of processor time, "
        f"{gigabytes(use.disk_bytes)} of disk"
    )
    room = "; ".join(
        f"{disk.path} has {gigabytes(disk.free_bytes)} of {gigabytes(disk.total_bytes)} free"
        for disk in disks
    )
    sentence = f"{', '.join(parts)}: {costs}. {room}"
    short = limits.shortage(disks, use.disk_bytes)
    if short:
        sentence += f". New sandboxes wait: {short}. Make room, or change DISK_FREE_GB or DISK_MOST_GB"
    elif limits.free_bytes:
        sentence += f", and {gigabytes(limits.free_bytes)} have to stay so"
    return Finding("in use", not short, sentence, _lines(use, owners))


def _lines(use: HostUse, owners: Mapping[str, str]) -> tuple[str, ...]:
    """One for each box and service, those that take most memory first, and one for each kind of copy."""
    ordered = sorted(use.running, key=lambda each: (each.memory_bytes or 0, each.disk_bytes), reverse=True)
    lines = [_line(each, owners.get(each.box, "")) for each in ordered[:MOST_LINES]]
    if len(ordered) > MOST_LINES:
        lines.append(f"… and {len(ordered) - MOST_LINES} more that take less")
    for what, stored in (("snapshots", use.snapshots), ("images", use.images)):
        if stored.count:
            lines.append(_columns(what, "", "", "", stored.disk_bytes))
    return tuple(lines)


def _line(each: Use, owner: str) -> str:
    purpose = "session" if owner else each.purpose or "session"
    what = f"service {each.service}" if each.service else purpose
    state = "running" if each.running else "stopped"
    memory = "" if each.memory_bytes is None else gigabytes(each.memory_bytes)
    seconds = f"{each.cpu_seconds:.1f} s" if each.running else ""
    return _columns(f"{what} {owner or each.session_id}", state, memory, seconds, each.disk_bytes)


def _columns(name: str, state: str, memory: str, seconds: str, disk_bytes: int) -> str:
    return f"{name:<43.43} {state:<8} {memory:>9} {seconds:>9} {gigabytes(disk_bytes):>9} of disk"


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


async def _runtime(settings: Settings) -> Finding:
    if not settings.sandbox_runtime:
        sentence = (
            "the engine's own (SANDBOX_RUNTIME is empty): boxes share the host's kernel behind a filter. "
            "docs/operations.md says what another one gives"
        )
        return Finding("runtime", None, sentence)
    made_with = environment_settings(settings, PROBE)
    try:
        environment = await choose_environment(settings.sandbox_backend, made_with, prepare=False)
    except EnvironmentUnavailable as error:
        return Finding("runtime", False, str(error))
    try:
        if environment.name != "docker":
            return Finding("runtime", None, "SANDBOX_RUNTIME is not used: boxes are made without an engine")
        return await _tried(environment, made_with.base_image, settings)
    finally:
        await environment.aclose()
        shutil.rmtree(made_with.directory, ignore_errors=True)


async def _tried(environment: Environment, image: str, settings: Settings) -> Finding:
    """Whether a box starts under the runtime, and what it sees."""
    name = settings.sandbox_runtime
    spec = SandboxSpec("", f"{PROBE}-{uuid4().hex[:8]}", image, settings.bellhop_home / PROBE / "in")
    try:
        async with await environment.open(spec) as box:
            done = await box.runner.exec("look", "uname -sr", timeout_seconds=PROBE_SECONDS)
    except ImageMissing:
        sentence = f"not tried: the image {image} is not there yet. The worker's first start makes it"
        return Finding("runtime", None, sentence)
    except (EnvironmentUnavailable, SandboxFailed) as error:
        remedy = (
            f"See what `docker run --rm --runtime {name} {image} true` says and what docs/operations.md "
            "asks of a runtime, or let SANDBOX_RUNTIME be empty"
        )
        return Finding("runtime", False, f"no box starts under {name}: {str(error).rstrip('.')}. {remedy}")
    finally:
        await environment.remove(spec.name)
    seen, own = done.output.strip(), f"{platform.system()} {platform.release()}"
    whose = "the host's own" if seen == own else f"not the host's, which is {own}"
    return Finding("runtime", True, f"a box starts under {name}, and sees the kernel {seen}: {whose}")


SANDBOX_CHECKS: Mapping[str, Check] = {"sandbox": _sandbox, "runtime": _runtime, "in use": _in_use}
