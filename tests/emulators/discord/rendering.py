"""What people see of a message: its components as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tests.emulators.discord.refusals import Json

ROW, BUTTON, SELECT, SECTION, TEXT_DISPLAY, SEPARATOR, CONTAINER = 1, 2, 3, 9, 10, 14, 17

# What stands after a backslash is shown as it is; other marks are left standing, so that tests can see them.
_ESCAPED = re.compile(r"\\([\\*_~`|<>\[\]#@:()+.-])")


def shown(content: str, components: Sequence[Json]) -> str:
    """The message as text, buttons and menus in brackets."""
    lines = [plain(content)] if content else []
    for component in walk(components):
        match component["type"]:
            case 10:
                lines.append(plain(component["content"]))
            case 2 | 3:
                lines.append(f"[{label(component)}]")
    return "\n".join(lines)


def plain(text: str) -> str:
    """Text without the backslashes that keep marks from being marks."""
    return _ESCAPED.sub(r"\1", text).replace("\u200b", "")


def label(component: Json) -> str:
    """What is written on a button or a menu."""
    return str(component.get("label") or component.get("placeholder") or "")


def walk(components: Sequence[Json]) -> Iterator[Json]:
    """Every component, from the outside in, in the order in which they are seen."""
    for component in components:
        yield component
        yield from walk(component.get("components", ()))
        if "accessory" in component:
            yield from walk([component["accessory"]])


def controls(components: Sequence[Json]) -> list[Json]:
    """What can be pressed or chosen from."""
    return [component for component in walk(components) if component["type"] in (BUTTON, SELECT)]


def texts(content: str, components: Sequence[Json]) -> list[str]:
    """Every text in which Discord reads marks and mentions."""
    return [content, *(c["content"] for c in walk(components) if c["type"] == TEXT_DISPLAY)]
