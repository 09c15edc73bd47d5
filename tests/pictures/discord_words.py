"""Discord's markup as HTML.

Source: https://support.discord.com/hc/en-us/articles/210298617
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

NameOf = Callable[[int], str]

_KEPT = re.compile(
    r"```(?:\w*\n)?(?P<block>.*?)```|`(?P<code>[^`\n]+)`|\\(?P<escaped>[^\w\s])|<@!?(?P<account>\d+)>"
    r"|\[(?P<label>[^\]\n]+)\]\((?P<target>https?://[^)\s]+)\)|(?P<address>https?://[^\s<>)]+)",
    re.S,
)
_MARKS = (
    (re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*"), r"<b>\1</b>"),
    (re.compile(r"(?<!\*)\*(?=\S)([^*\n]+?)(?<=\S)\*(?!\*)"), r"<i>\1</i>"),
    (re.compile(r"(?<!\w)_(?=\S)([^_\n]+?)(?<=\S)_(?!\w)"), r"<i>\1</i>"),
    (re.compile(r"~~(?=\S)(.+?)(?<=\S)~~"), r"<s>\1</s>"),
)
_LINES = (
    (re.compile(r"^#{1,3} (.*)$"), '<h2 class="line">{}</h2>'),
    (re.compile(r"^-# (.*)$"), '<p class="small">{}</p>'),
    (re.compile(r"^&gt; (.*)$"), "<blockquote>{}</blockquote>"),
    (re.compile(r"^- (.*)$"), '<p class="entry">{}</p>'),
)
_BREAKS = re.compile(r"\n{2,}")


def formatted(text: str, name_of: NameOf) -> str:
    """A text in Discord's markup; `name_of` knows people by their ids."""
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(_part(match, name_of))
        return f"\0{len(kept) - 1}\0"

    shown = html.escape(_KEPT.sub(keep, text.replace("\u200b", "")), quote=False)
    for mark, made in _MARKS:
        shown = mark.sub(made, shown)
    shown = '<p class="gap"></p>'.join(
        "".join(_line(line) for line in part.split("\n")) for part in _BREAKS.split(shown)
    )
    return re.sub(r"\0(\d+)\0", lambda match: kept[int(match[1])], shown)


def _line(line: str) -> str:
    for form, made in _LINES:
        if found := form.match(line):
            return made.format(found[1])
    return f"<p>{line}</p>"


def _part(match: re.Match[str], name_of: NameOf) -> str:
    if match["block"] is not None:
        return f"<pre>{html.escape(match['block'].strip())}</pre>"
    if match["code"] is not None:
        return f"<code>{html.escape(match['code'])}</code>"
    if match["escaped"] is not None:
        return html.escape(match["escaped"])
    if match["account"] is not None:
        return f'<span class="mention">@{html.escape(name_of(int(match["account"])))}</span>'
    return f'<span class="link">{html.escape(match["label"] or match["address"])}</span>'
