"""The agent's tools, one file each, found by looking."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import cast

from sandbox.agent.tool import Arguments, Tool


def discover_tools() -> dict[str, Tool[Arguments]]:
    """Every tool in this folder by name, in the order of their names (which the prompt cache relies on)."""
    found = [tool for info in pkgutil.iter_modules(__path__) for tool in _tools_of(f"{__name__}.{info.name}")]
    return {tool.name: tool for tool in sorted(found, key=lambda tool: tool.name)}


def _tools_of(module_name: str) -> list[Tool[Arguments]]:
    module = importlib.import_module(module_name)
    found: list[Tool[Arguments]] = []
    for _, kind in inspect.getmembers(module, inspect.isclass):
        if kind.__module__ == module_name and hasattr(kind, "mutates") and hasattr(kind, "run"):
            found.append(cast("type[Tool[Arguments]]", kind)())
    return found
