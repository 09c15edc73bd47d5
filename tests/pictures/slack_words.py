"""Slack's markup as HTML.

Source: https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping

NameOf = Callable[[str], str]

EMOJI: Mapping[str, str] = {
    "+1": "👍",
    "-1": "👎",
    "arrow_forward": "▶️",
    "bell": "🔔",
    "eyes": "👀",
    "gear": "⚙️",
    "heavy_minus_sign": "➖",
    "octagonal_sign": "🛑",
    "package": "📦",
    "warning": "⚠️",
    "white_check_mark": "✅",
    "white_circle": "⚪",
    "x": "❌",
}
"""The emoji that Bellhop writes, by their names in Slack; another one is shown by its name."""

_PARTS = re.compile(
    r"```\n?(?P<block>.*?)```|`(?P<code>[^`\n]+)`|<(?P<target>[^<>|]+)(?:\|(?P<label>[^<>]*))?>", re.S
)
_EMOJI = re.compile(r":([a-z0-9_+-]+):")
_MARKS = (
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])"), r"<b>\1</b>"),
    (re.compile(r"(?<![\w_])_(?=\S)([^_\n]+?)(?<=\S)_(?![\w_])"), r"<i>\1</i>"),
    (re.compile(r"(?<![\w~])~(?=\S)([^~\n]+?)(?<=\S)~(?![\w~])"), r"<s>\1</s>"),
)
_BLANK_LINE = re.compile(r"\n\n+")
_QUOTE = re.compile(r"(?:^&gt; ?[^\n]*\n?)+", re.M)


def formatted(text: str, name_of: NameOf) -> str:
    """A text in Slack's markup; `name_of` knows people and channels by their ids."""
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(_part(match, name_of))
        return f"\0{len(kept) - 1}\0"

    shown = _safe(_PARTS.sub(keep, text))
    for mark, made in _MARKS:
        shown = mark.sub(made, shown)
    shown = _emoji(_QUOTE.sub(_quote, shown))
    shown = _BLANK_LINE.sub('<span class="gap"></span>', shown)
    return re.sub(r"\0(\d+)\0", lambda match: kept[int(match[1])], shown)


def unformatted(text: str) -> str:
    """A plain text: only emoji are understood."""
    return _emoji(html.escape(text))


def picture_of(emoji: str) -> str:
    """An emoji by its name in Slack, its skin tone left out."""
    name = emoji.split("::")[0]
    return EMOJI.get(name, f":{html.escape(name)}:")


def _part(match: re.Match[str], name_of: NameOf) -> str:
    if match["block"] is not None:
        return f"<pre>{_safe(match['block'].rstrip())}</pre>"
    if match["code"] is not None:
        return f"<code>{_safe(match['code'])}</code>"
    target, label = match["target"], match["label"]
    if target[0] in "@#":
        return f'<span class="mention">{target[0]}{_safe(label or name_of(target[1:]))}</span>'
    if target[0] == "!":
        return f'<span class="mention">{_safe(label or "@" + target[1:])}</span>'
    return f'<span class="link">{_safe(label or target)}</span>'


def _quote(match: re.Match[str]) -> str:
    lines = "\n".join(line.removeprefix("&gt;").strip() for line in match[0].rstrip("\n").split("\n"))
    return f"<blockquote>{lines}</blockquote>"


def _safe(text: str) -> str:
    return html.escape(html.unescape(text), quote=False)


def _emoji(text: str) -> str:
    return _EMOJI.sub(lambda match: EMOJI.get(match[1], match[0]), text)
