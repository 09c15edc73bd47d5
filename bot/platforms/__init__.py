"""The chat platforms. Each is a folder here and is found by looking: adding one changes no other file."""

from __future__ import annotations

from pkgutil import iter_modules


def platform_names() -> tuple[str, ...]:
    """The names of all platforms, in alphabetical order."""
    return tuple(sorted(found.name for found in iter_modules(__path__) if found.ispkg))
