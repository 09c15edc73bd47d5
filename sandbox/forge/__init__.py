"""Forges, found by file: every module here that has a `build` function is one, under the module's name."""

from __future__ import annotations

import importlib.util
import pkgutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from sandbox.forge.protocol import Forge, ForgeError


def names() -> list[str]:
    """The forges there are, by name."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in modules if hasattr(import_module(f"{__name__}.{name}"), "build"))


def create(name: str, *, directory: Path, settings: Mapping[str, str]) -> Forge:
    """The forge of that name, keeping its mirrors and records under `directory`.

    `settings` holds values by setting name (`GITHUB_API_URL`, …); each forge takes those it knows.

    Raises: `ForgeError` when there is no such forge or a setting of it is missing or malformed.
    """
    if not name.isidentifier() or importlib.util.find_spec(f"{__name__}.{name}") is None:
        raise ForgeError(f"There is no forge called {name!r}. Known forges: {', '.join(names())}.")
    build = getattr(import_module(f"{__name__}.{name}"), "build", None)
    if build is None:
        raise ForgeError(f"There is no forge called {name!r}. Known forges: {', '.join(names())}.")
    forge: Forge = build(directory=directory, settings=settings)
    return forge
