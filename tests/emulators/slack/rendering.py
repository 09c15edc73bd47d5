"""Messages as a person reads them on the screen."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.emulators.slack.refusals import Json

_LINK = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")
NameOf = Callable[[str], str]
"""The name that goes with a user or channel id."""


def render(text: str, blocks: Sequence[Json], name_of: NameOf) -> str:
    """What is shown: the blocks where there are any, else the text."""
    if not blocks:
        return plain(text, name_of)
    return "\n".join(line for block in blocks for line in _lines(block, name_of))


def plain(text: str, name_of: NameOf) -> str:
    """Slack's markup with mentions and links spelt out and escapes undone."""

    def spell_out(match: re.Match[str]) -> str:
        target, label = match.group(1), match.group(2)
        if target[0] in "@#":
            return target[0] + (label or name_of(target[1:]))
        if target[0] == "!":
            return label or "@" + target[1:].split("^")[0]
        return f"{label} ({target})" if label else target

    return html.unescape(_LINK.sub(spell_out, text))


def label_of(element: Json) -> str:
    """What is written on a button or a menu."""
    text = element.get("text") or element.get("placeholder") or {}
    return str(text.get("text", element.get("action_id", "")))


def _lines(block: Json, name_of: NameOf) -> Iterator[str]:
    kind = block["type"]
    if kind == "header":
        yield "# " + _object(block["text"], name_of)
    elif kind == "divider":
        yield "---"
    elif kind == "markdown":
        yield block["text"]
    elif kind == "image":
        yield f"(picture: {block['alt_text']})"
    elif kind == "context":
        yield " · ".join(_object(element, name_of) for element in block["elements"])
    elif kind == "actions":
        yield " ".join(f"[{label_of(element)}]" for element in block["elements"])
    elif kind == "section":
        yield from _section(block, name_of)
    else:
        yield from _words(block, name_of)


def _section(block: Json, name_of: NameOf) -> Iterator[str]:
    if "text" in block:
        yield _object(block["text"], name_of)
    for field in block.get("fields", []):
        yield _object(field, name_of)
    if "accessory" in block:
        yield f"[{label_of(block['accessory'])}]"


def _object(text: Json, name_of: NameOf) -> str:
    if text["type"] == "image":
        return f"(picture: {text['alt_text']})"
    return plain(text["text"], name_of) if text["type"] == "mrkdwn" else str(text["text"])


def _words(value: Any, name_of: NameOf) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _words(entry, name_of)
    elif isinstance(value, dict):
        if value.get("type") == "user":
            yield "@" + name_of(value["user_id"])
        for key, entry in value.items():
            if key in ("text", "title") and isinstance(entry, str):
                yield entry
            else:
                yield from _words(entry, name_of)
