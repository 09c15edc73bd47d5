"""Which backend makes the boxes: every module here that has a `BACKEND` can be chosen by its name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import sandbox.environments as backends
from sandbox.environments.protocol import Environment, EnvironmentUnavailable, SandboxFailed

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """What backends are made with.

    `directory` is theirs alone: sockets, workspaces, snapshots, caches. `docker_host` None is the engine's
    usual socket, `runtime` None the engine's own, `registry` None that
    images stay on this host.
    """

    directory: Path
    base_image: str
    docker_host: str | None = None
    runtime: str | None = None
    registry: str | None = None


@dataclass(frozen=True, slots=True)
class Backend:
    """One way to make boxes; "auto" takes the one of lowest `rank` that works here."""

    name: str
    rank: int
    make: Callable[[EnvironmentSettings], Environment]


def found_backends() -> Mapping[str, Backend]:
    """Every backend by name, the best first."""
    found: list[Backend] = []
    for module in pkgutil.iter_modules(backends.__path__, backends.__name__ + "."):
        backend = getattr(importlib.import_module(module.name), "BACKEND", None)
        if isinstance(backend, Backend):
            found.append(backend)
    return {backend.name: backend for backend in sorted(found, key=lambda backend: backend.rank)}


async def choose_environment(
    name: str, settings: EnvironmentSettings, *, prepare: bool = True
) -> Environment:
    """The backend of that name, checked and prepared; for "auto" the best that works here.

    Raises: EnvironmentUnavailable, with what each backend lacks and what to do.
    """
    known = found_backends()
    if name != AUTO and name not in known:
        raise EnvironmentUnavailable(f"SANDBOX_BACKEND is {name!r}: use {', '.join([AUTO, *known])}.")
    refusals: list[str] = []
    for backend in known.values():
        if name not in (AUTO, backend.name):
            continue
        environment = backend.make(settings)
        try:
            await environment.check()
            if prepare:
                await environment.prepare()
            return environment
        except (EnvironmentUnavailable, SandboxFailed) as error:
            await environment.aclose()
            refusals.append(str(error))
    raise EnvironmentUnavailable(" ".join(refusals))
