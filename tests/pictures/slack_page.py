"""A thread of the emulated Slack as one web page: what the messages' payloads say, and nothing else."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.emulators.slack.refusals import Json
from tests.emulators.slack.rendering import label_of
from tests.emulators.slack.workspace import Message, User
from tests.pictures.slack_words import formatted, picture_of, unformatted

_STYLE = (Path(__file__).parent / "slack_page.css").read_text()
_HUES = (205, 265, 330, 25, 150)


def thread_page(messages: Sequence[Message], bot_picture: str) -> str:
    """The whole page, in the element `#thread`; `bot_picture` is an SVG that stands beside the bot's words.

    Raises: ValueError, for a part of a message that this page cannot show.
    """
    channel = messages[0].channel
    shown = "\n".join(_message(message, bot_picture) for message in messages)
    topic = f"<span>{html.escape(channel.topic)}</span>" if channel.topic else ""
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Thread</title>
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>
<body><main id="thread"><header><h1># {html.escape(channel.name)}</h1>{topic}</header>
{shown}</main></body></html>"""


def _message(message: Message, bot_picture: str) -> str:
    author = message.author
    tag = '<span class="tag">app</span>' if author.is_bot else ""
    when = datetime.fromtimestamp(float(message.ts), UTC).strftime("%H:%M")
    alone = (
        f'<p class="alone">Only {message.name_of(message.ephemeral_for)} sees this</p>'
        if (message.ephemeral_for)
        else ""
    )
    body = "".join(_block(block, message) for block in message.blocks)
    if not message.blocks:
        body = f'<div class="section">{formatted(message.text, message.name_of)}</div>'
    kind = "bot" if author.is_bot else "human"
    return f"""<article class="{kind}">{_face(author, bot_picture)}<div class="message">
<p class="author"><b>{html.escape(author.name)}</b>{tag}<time>{when}</time></p>{alone}{body}
{_files(message)}{_reactions(message)}</div></article>"""


def _face(author: User, bot_picture: str) -> str:
    if author.is_bot:
        return f'<div class="face">{bot_picture}</div>'
    hue = _HUES[ord(author.name[0]) % len(_HUES)]
    return f'<div class="face" style="--hue: {hue}">{html.escape(author.name[:1])}</div>'


def _files(message: Message) -> str:
    return "".join(f'<p class="file">{html.escape(file.name)}</p>' for file in message.files)


def _reactions(message: Message) -> str:
    chips = [
        f"<span>{picture_of(name)} {len(users)}</span>" for name, users in message.reactions.items() if users
    ]
    return f'<p class="reactions">{"".join(chips)}</p>' if chips else ""


def _block(block: Json, message: Message) -> str:
    match block["type"]:
        case "header":
            return f"<h2>{_text(block['text'], message)}</h2>"
        case "section":
            return f'<div class="section">{"".join(_section(block, message))}</div>'
        case "context":
            parts = (f"<span>{_text(element, message)}</span>" for element in block["elements"])
            return f'<div class="context">{"".join(parts)}</div>'
        case "actions":
            return f'<div class="actions">{"".join(_control(element) for element in block["elements"])}</div>'
        case "divider":
            return "<hr>"
        case kind:
            raise ValueError(f"this page cannot show a block of type {kind!r}")


def _section(block: Json, message: Message) -> Iterator[str]:
    if "text" in block:
        yield _text(block["text"], message)
    for field in block.get("fields", []):
        yield f"<p>{_text(field, message)}</p>"
    if "accessory" in block:
        yield _control(block["accessory"])


def _text(text: Json, message: Message) -> str:
    match text["type"]:
        case "mrkdwn":
            return formatted(text["text"], message.name_of)
        case "plain_text":
            return unformatted(text["text"])
        case kind:
            raise ValueError(f"this page cannot show a text of type {kind!r}")


def _control(element: Json) -> str:
    label = unformatted(label_of(element))
    match element["type"]:
        case "button":
            return f'<span class="button {element.get("style", "")}">{label}</span>'
        case "static_select" | "external_select":
            return f'<span class="button menu">{label}</span>'
        case kind:
            raise ValueError(f"this page cannot show a control of type {kind!r}")
