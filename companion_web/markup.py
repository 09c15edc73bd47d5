"""Untrusted text made into safe HTML: what the agent writes, and what programs print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup, escape
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Token, _TokenType
from pygments.util import ClassNotFound

MAX_AGENT_TEXT = 200_000
"""Characters of one message that are shown; more would only slow the reader's browser down."""

MAX_COLOURED_CODE = 40_000
"""Characters of one code block that are coloured; longer ones stay plain."""

_TAGS = {
    *("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "hr", "br"),
    *("pre", "code", "span", "em", "strong", "s", "a"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "span": {"class"}, "code": {"class"}}
_SCHEMES = {"http", "https", "mailto"}

_CLASSES: tuple[tuple[_TokenType, str], ...] = (
    (Token.Comment, "tc"),
    (Token.Keyword, "tk"),
    (Token.Operator.Word, "tk"),
    (Token.Literal.String, "ts"),
    (Token.Literal.Number, "tn"),
    (Token.Name.Function, "tf"),
    (Token.Name.Class, "tf"),
    (Token.Name.Tag, "tf"),
    (Token.Name.Decorator, "td"),
    (Token.Name.Builtin, "td"),
    (Token.Name.Attribute, "td"),
)
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_ESCAPE = re.compile(
    r"\x1b\[(?P<sgr>[0-9;]*)m|\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-_]?"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def agent_html(text: str) -> Markup:
    """Markdown as HTML with nothing in it that runs, loads or posts.

    Raw HTML is shown as text, images become links, and links keep only http, https and mailto.
    """
    shown = text if len(text) <= MAX_AGENT_TEXT else text[:MAX_AGENT_TEXT] + "\n\n…"
    rendered = _MARKDOWN.render(shown)
    return Markup(
        nh3.clean(
            rendered,
            tags=_TAGS,
            attributes=_ATTRIBUTES,
            url_schemes=_SCHEMES,
            link_rel="noopener noreferrer nofollow",
        )
    )


def code_spans(code: str, lexer: Lexer) -> Iterator[Markup]:
    """The lines of `code`, coloured; a token that spans lines is coloured on each of them."""
    line: list[Markup] = []
    for kind, value in lexer.get_tokens(code):
        css = _css_class(kind)
        for position, piece in enumerate(value.split("\n")):
            if position:
                yield Markup("").join(line)
                line = []
            if piece:
                shown = visible(piece)
                line.append(Markup('<span class="{}">{}</span>').format(css, shown) if css else shown)
    if line:
        yield Markup("").join(line)


def visible(text: str) -> Markup:
    """The text escaped, with characters that hide or reorder others spelled out."""
    if not _INVISIBLE.search(text):
        return escape(text)
    pieces: list[Markup] = []
    end = 0
    for match in _INVISIBLE.finditer(text):
        pieces.append(escape(text[end : match.start()]))
        pieces.append(Markup('<span class="hid">U+{:04X}</span>').format(ord(match.group())))
        end = match.end()
    pieces.append(escape(text[end:]))
    return Markup("").join(pieces)


def terminal_html(text: str) -> Markup:
    """What a program printed, with its ANSI colours and weights and no other escape.

    Of a line rewritten by carriage returns the last writing is shown, as a terminal would.
    """
    settled = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    pieces: list[Markup] = []
    style: frozenset[str] = frozenset()
    end = 0
    for match in _ESCAPE.finditer(settled):
        pieces.append(_styled(settled[end : match.start()], style))
        if match.group("sgr") is not None:
            style = _restyled(style, match.group("sgr"))
        end = match.end()
    pieces.append(_styled(settled[end:], style))
    return Markup("").join(pieces)


@lru_cache(maxsize=256)
def _css_class(kind: _TokenType) -> str:
    return next((css for parent, css in _CLASSES if kind[: len(parent)] == parent), "")


def _styled(text: str, style: frozenset[str]) -> Markup:
    shown = visible(_CONTROL.sub("", text))
    if not style or not shown:
        return shown
    return Markup('<span class="{}">{}</span>').format(" ".join(sorted(style)), shown)


def _restyled(style: frozenset[str], codes: str) -> frozenset[str]:
    numbers = [int(code) if code else 0 for code in codes.split(";")]
    while numbers:
        number = numbers.pop(0)
        if number in (38, 48):  # an extended colour: its arguments are not codes of their own
            del numbers[: 2 if numbers[:1] == [5] else 4]
        elif number == 0:
            style = frozenset()
        elif number in (1, 2, 3, 4):
            style |= {f"a{number}"}
        elif 30 <= number <= 37 or 90 <= number <= 97 or number == 39:
            style = frozenset(s for s in style if not s.startswith("f"))
            style |= {f"f{number % 10}"} if number != 39 else set()
    return style


def _coloured_fence(code: str, language: str, attributes: str) -> str:
    if len(code) <= MAX_COLOURED_CODE and language:
        try:
            lexer = get_lexer_by_name(language, stripnl=False)
        except ClassNotFound:
            return str(visible(code))
        return "\n".join(code_spans(code, lexer))
    return str(visible(code))


_MARKDOWN = (
    MarkdownIt("commonmark", {"html": False, "highlight": _coloured_fence})
    .enable(["table", "strikethrough"])
    .disable("image")
)
