"""A thread of the emulated Discord as one web page: what the messages' payloads say, and nothing else."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.emulators.discord.refusals import Json
from tests.emulators.discord.rendering import (
    BUTTON,
    CONTAINER,
    ROW,
    SECTION,
    SELECT,
    SEPARATOR,
    TEXT_DISPLAY,
    label,
)
from tests.emulators.discord.world import DISCORD_EPOCH_MS, Message, User
from tests.pictures.discord_words import NameOf, formatted

_STYLE = (Path(__file__).parent / "discord_page.css").read_text()
_HUES = (205, 25, 150, 330, 265)
_BUTTON_STYLES = {1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "to-a-page"}
_OUTWARDS = (
    '<svg viewBox="0 0 16 16" class="outwards"><path d="M6 3H3v10h10v-3M9 3h4v4M13 3 7 9" fill="none" '
    'stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"/></svg>'
)


def thread_page(messages: Sequence[Message], title: str, name_of: NameOf, bot_picture: str) -> str:
    """The whole page, in the element `#thread`; the first message is the one that the thread was begun from.

    title: the thread's. bot_picture: an SVG that stands beside the bot's words.

    Raises: ValueError, for a part of a message that this page cannot show.
    """
    first = messages[0]
    before: tuple[Message | None, ...] = (None, *messages[:-1])
    shown = "\n".join(
        _message(message, earlier is not None and earlier.author is message.author, name_of, bot_picture)
        for earlier, message in zip(before, messages, strict=True)
    )
    place = f"<b>{html.escape(first.channel.name)}</b><i>›</i><h1>{html.escape(title)}</h1>"
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Thread</title>
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>
<body><main id="thread"><header><span>#</span>{place}</header>
{shown}</main></body></html>"""


def _message(message: Message, goes_on: bool, name_of: NameOf, bot_picture: str) -> str:
    """One message; without name and face where it `goes_on` from the same author."""
    body = f'<div class="text">{formatted(message.content, name_of)}</div>' if message.content else ""
    body += "".join(_component(component, name_of) for component in message.components)
    alone = '<p class="small">Only you can see this</p>' if message.only_for else ""
    face, head = ("<div></div>", "") if goes_on else (_face(message.author, bot_picture), _head(message))
    kind = "goes-on" if goes_on else "begins"
    return f"""<article class="{kind}">{face}<div class="message">{head}{body}{alone}
{_reactions(message)}</div></article>"""


def _head(message: Message) -> str:
    author = message.author
    tag = '<span class="tag">APP</span>' if author.bot else ""
    when = datetime.fromtimestamp(((message.id >> 22) + DISCORD_EPOCH_MS) / 1000, UTC).strftime("%H:%M")
    return f'<p class="author"><b>{html.escape(author.name)}</b>{tag}<time>{when}</time></p>'


def _face(author: User, bot_picture: str) -> str:
    if author.bot:
        return f'<div class="face app">{bot_picture}</div>'
    hue = _HUES[ord(author.name[0]) % len(_HUES)]
    return f'<div class="face" style="--hue: {hue}">{html.escape(author.name[:1])}</div>'


def _reactions(message: Message) -> str:
    chips = [f"<span>{html.escape(name)} {len(ids)}</span>" for name, ids in message.reactions.items() if ids]
    return f'<p class="reactions">{"".join(chips)}</p>' if chips else ""


def _component(component: Json, name_of: NameOf) -> str:
    match component["type"]:
        case kind if kind == CONTAINER:
            colour = f"#{component.get('accent_color') or 0x4E5058:06x}"
            inside = "".join(_inside(component, name_of))
            return f'<div class="container" style="--accent: {colour}">{inside}</div>'
        case kind if kind == TEXT_DISPLAY:
            return f'<div class="text">{formatted(component["content"], name_of)}</div>'
        case kind if kind == SECTION:
            aside = _component(component["accessory"], name_of)
            return f'<div class="section"><div>{"".join(_inside(component, name_of))}</div>{aside}</div>'
        case kind if kind == SEPARATOR:
            return "<hr>"
        case kind if kind == ROW:
            return f'<div class="row">{"".join(_inside(component, name_of))}</div>'
        case kind if kind == BUTTON:
            style = _BUTTON_STYLES[component["style"]]
            mark = _OUTWARDS if style == "to-a-page" else ""
            return f'<span class="button {style}">{html.escape(label(component))}{mark}</span>'
        case kind if kind == SELECT:
            return f'<span class="menu">{html.escape(label(component))}</span>'
        case kind:
            raise ValueError(f"this page cannot show a component of type {kind!r}")


def _inside(component: Json, name_of: NameOf) -> Iterator[str]:
    return (_component(inner, name_of) for inner in component["components"])
