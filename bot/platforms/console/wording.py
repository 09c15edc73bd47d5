"""Cards and posts as plain text, and what changed on a card in a line or two."""

from __future__ import annotations

import re

from bot.messages import Button, Outgoing, PlanLine, Post, StatusCard

PLAN_MARKS = {"done": "✓", "in_progress": "▸", "pending": "○", "dropped": "–"}

# Escape sequences and control characters could move the cursor, or worse, on somebody's terminal.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """The text without anything a terminal would obey."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))


def plain_text(content: Outgoing | str) -> str:
    """The whole content as lines of text."""
    if isinstance(content, StatusCard):
        return harmless("\n".join(_card(content)))
    if isinstance(content, Post):
        return harmless("\n".join(_post(content)))
    return harmless(content)


def card_news(before: StatusCard, after: StatusCard) -> list[str]:
    """What changed on the card that people would want to hear of."""
    news: list[str] = []
    if after.state != before.state:
        news.append(after.state)
    known = {(line.text, line.status) for line in before.plan}
    news.extend(plan_line(line) for line in after.plan if (line.text, line.status) not in known)
    if after.action and after.action != before.action:
        news.append(f"… {after.action}")
    news.extend(note for note in after.notes if note not in before.notes)
    return [harmless(line) for line in news]


def plan_line(line: PlanLine) -> str:
    """One line of the check list."""
    return f"{PLAN_MARKS[line.status]} {line.text}"


def facts(card: StatusCard) -> str:
    """The card's facts on one line."""
    return " · ".join(f"{label}: {value}" for label, value in card.facts)


def _card(card: StatusCard) -> list[str]:
    lines = [f"▌ {card.title}", f"▌ {card.state}" + (f": {card.action}" if card.action else "")]
    lines += [f"▌ {facts(card)}"] if card.facts else []
    lines += [f"▌   {plan_line(line)}" for line in card.plan]
    lines += [f"▌ {note}" for note in card.notes]
    lines += [f"▌ {_buttons(card.buttons)}"] if card.buttons else []
    return lines


def _post(post: Post) -> list[str]:
    lines = [post.text]
    lines += [f"({line})" for line in post.footer]
    if post.buttons:
        lines.append(_buttons(post.buttons))
    if post.menu is not None:
        slugs = ", ".join(choice.value for choice in post.menu.choices[:12])
        more = "" if len(post.menu.choices) <= 12 else f" … and {len(post.menu.choices) - 12} more"
        lines.append(f"All of them: {slugs}{more}")
    return lines


def _buttons(buttons: tuple[Button, ...]) -> str:
    return " ".join(f"[{b.label}: {b.url}]" if b.url else f"[{b.label}]" for b in buttons)
