"""Cards and posts as Block Kit, within Slack's limits whatever the content is.

Source: https://docs.slack.dev/reference/block-kit/blocks; the total over all blocks is not documented, and
was found to be about 12,000 characters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.long_text import one_line, split_text
from bot.messages import Button, Choice, Menu, Outgoing, Post, StatusCard, Tone
from bot.platforms.plan_lines import PlanForm, plan_lines
from bot.platforms.slack.mrkdwn import escape, mrkdwn
from bot.sentences.preferences import SEARCH

Block = dict[str, Any]

SECTION_CHARACTERS = 2_900
MESSAGE_CHARACTERS = 7_000
HEADER_CHARACTERS = 150
CONTEXT_CHARACTERS = 1_900
LIVE_CONTEXT_CHARACTERS = 1_500
BUTTON_CHARACTERS = 75
BUTTON_VALUE_CHARACTERS = 2_000
OPTION_VALUE_CHARACTERS = 150
MENU_OPTIONS = 100
MENU_CHARACTERS = 1_500
BUTTONS_SHOWN = 12
FALLBACK_CHARACTERS = 3_000

ACTION_PREFIX = "bellhop"
SEARCH_ACTION = f"{ACTION_PREFIX}-search:open"

TONE_EMOJI: Mapping[Tone, str] = {
    "waiting": "bell",
    "working": "gear",
    "done": "white_check_mark",
    "failed": "warning",
    "stopped": "octagonal_sign",
    "quiet": "package",
}
_PLAN = PlanForm(
    marks={
        "done": ":white_check_mark:",
        "in_progress": ":arrow_forward:",
        "pending": ":white_circle:",
        "dropped": ":heavy_minus_sign:",
    },
    text=escape,
    aside=lambda words: f"_{words}_",
    room=SECTION_CHARACTERS - 100,
)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message for Slack: `text` is what notifications show, `blocks` what the thread shows."""

    text: str
    blocks: tuple[Block, ...]


def render(content: Outgoing, tones: Mapping[Tone, str] = TONE_EMOJI) -> Rendered:
    """The content as one Slack message. `tones`: names of the emoji that stand for how a session is doing."""
    if isinstance(content, StatusCard):
        return Rendered(_fallback(f"{content.title}: {content.state}"), tuple(_card(content, tones)))
    return Rendered(_fallback(content.text or content.kind), tuple(_post(content)))


def live_blocks(
    card: StatusCard, lines: Sequence[str], buttons: Sequence[Button], first: int, *, titled: bool
) -> list[Block]:
    """What is added to a streamed card: facts and notes, and buttons, of which `first` were there before."""
    blocks: list[Block] = []
    if titled:
        blocks.append({"type": "header", "text": _plain(card.title, HEADER_CHARACTERS)})
    escaped = "\n".join(escape(one_line(line, 300)) for line in lines[:12])
    if escaped.strip():
        text = _cut(escaped, LIVE_CONTEXT_CHARACTERS)
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": text}]})
    fitting = buttons[: max(0, BUTTONS_SHOWN - first)]
    for block in _actions(card.session_id, fitting, None, first):
        blocks.append({**block, "block_id": f"{ACTION_PREFIX}:buttons:{first}"})
    return blocks


def split_post(post: Post) -> tuple[Post, ...]:
    """The post in pieces that each fit one Slack message; buttons, menu and footer stay with the last."""
    *first, last = split_text(post.text, MESSAGE_CHARACTERS, _length)
    bare = replace(post, buttons=(), menu=None, footer=())
    return (*(replace(bare, text=text) for text in first), replace(post, text=last))


def button_value(session_id: str, ref: str, value: str) -> str:
    """What a button carries back to us."""
    return json.dumps([session_id, ref, value], separators=(",", ":"))


def read_button_value(text: str) -> tuple[str, str, str]:
    """Session, ref and value of a button. Raises: ValueError, when it is none of ours."""
    parts = json.loads(text)
    if not isinstance(parts, list) or len(parts) != 3 or not all(isinstance(part, str) for part in parts):
        raise ValueError(f"not the value of one of our buttons: {text[:80]!r}")
    return parts[0], parts[1], parts[2]


def options(choices: Iterable[Choice]) -> list[Block]:
    """Menu entries; a name too long for a menu cannot be one."""
    return [
        {"text": _plain(choice.label, BUTTON_CHARACTERS), "value": choice.value}
        for choice in choices
        if choice.value and len(choice.value) <= OPTION_VALUE_CHARACTERS
    ][:MENU_OPTIONS]


def _length(markdown: str) -> int:
    return len(mrkdwn(markdown))


def _fallback(text: str) -> str:
    return escape(one_line(text, FALLBACK_CHARACTERS // 5)) or "Bellhop"


def _card(card: StatusCard, tones: Mapping[Tone, str]) -> Iterator[Block]:
    yield {"type": "header", "text": _plain(card.title, HEADER_CHARACTERS)}
    action = f": {escape(one_line(card.action, 250))}" if card.action else ""
    yield _section(f":{tones[card.tone]}: *{escape(one_line(card.state, 100))}*{action}")
    facts = [f"*{escape(label)}* {escape(one_line(value, 200))}" for label, value in card.facts]
    yield from _context(["  ·  ".join(facts)] if facts else [])
    if card.plan:
        yield _section("\n".join(plan_lines(card.plan, _PLAN)))
    yield from _context([escape(one_line(note, 400)) for note in card.notes[:6]])
    yield from _actions(card.session_id, card.buttons, None)


def _post(post: Post) -> Iterator[Block]:
    if post.heading:
        yield {"type": "header", "text": _plain(post.heading, HEADER_CHARACTERS)}
    left = MESSAGE_CHARACTERS + 200
    for piece in split_text(post.text, SECTION_CHARACTERS, _length):
        text = mrkdwn(piece)
        if not text.strip() or len(text) > left:
            continue
        left -= len(text)
        yield _section(text)
    yield from _context([escape(one_line(line, 300)) for line in post.footer[:8]])
    yield from _actions(post.session_id, post.buttons, post.menu)


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text, 3_000)}}


def _context(lines: list[str]) -> Iterator[Block]:
    filled = [line for line in lines if line.strip()]
    if filled:
        text = _cut("\n".join(filled), CONTEXT_CHARACTERS)
        yield {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def _actions(
    session_id: str, buttons: Sequence[Button], menu: Menu | None, first: int = 0
) -> Iterator[Block]:
    elements = [
        element
        for index, button in enumerate(buttons[:BUTTONS_SHOWN], first)
        if (element := _button(session_id, button, index)) is not None
    ]
    if elements:
        yield {"type": "actions", "block_id": f"{ACTION_PREFIX}:buttons", "elements": elements}
    if menu is not None and options(menu.choices):
        yield {
            "type": "actions",
            "block_id": f"{ACTION_PREFIX}:menu:{session_id}:{menu.ref}"[:255],
            "elements": [_menu(menu), *_search(session_id, menu)],
        }


def _button(session_id: str, button: Button, index: int) -> Block | None:
    element: Block = {
        "type": "button",
        "action_id": f"{ACTION_PREFIX}:{button.action}:{index}",
        "text": {**_plain(button.label, BUTTON_CHARACTERS), "emoji": True},
    }
    if button.style != "plain":
        element["style"] = button.style
    if button.url is not None:
        if not button.url.startswith(("https://", "http://")) or len(button.url) > 3_000:
            return None
        return {**element, "url": button.url}
    value = button_value(session_id, button.ref, button.value)
    return {**element, "value": value} if len(value) <= BUTTON_VALUE_CHARACTERS else None


def _menu(menu: Menu) -> Block:
    element: Block = {
        "action_id": f"{ACTION_PREFIX}:{menu.action}:menu",
        "placeholder": _plain(menu.placeholder, 150),
    }
    if _fits(menu):
        return {**element, "type": "static_select", "options": options(menu.choices)}
    return {**element, "type": "external_select", "min_query_length": 0}


def _fits(menu: Menu) -> bool:
    few = len(menu.choices) <= MENU_OPTIONS
    return few and sum(len(choice.label) for choice in menu.choices) <= MENU_CHARACTERS


def _search(session_id: str, menu: Menu) -> Iterator[Block]:
    """Beside a menu with more entries than it can show at once: a button that opens a form to search in."""
    if menu.action == "pick_repository" and not _fits(menu):
        yield {
            "type": "button",
            "action_id": SEARCH_ACTION,
            "text": {**_plain(SEARCH, BUTTON_CHARACTERS), "emoji": True},
            "value": button_value(session_id, menu.ref, ""),
        }


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": one_line(text, limit) or "…"}


def _cut(text: str, limit: int) -> str:
    """The last net under texts that were measured before; half an escape is not left at the end."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 1]
    ampersand = kept.rfind("&", len(kept) - 6)
    return (kept[:ampersand] if ampersand >= 0 and ";" not in kept[ampersand:] else kept) + "…"
