"""Markdown as agents write it, in Discord's own dialect, with nothing left in it that rings people.

Source: https://docs.discord.com/developers/reference#message-formatting
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import zip_longest

from markdown_it.tree import SyntaxTreeNode

from bot.platforms.markdown_tree import hidden_host, inline, table, texts, tree

_BREAK = "\u200b"
_JOINER = "\u200d"  # holds together emoji that are made of several
_RINGS = re.compile(r"@(?=everyone|here|[!&]?\d)", re.IGNORECASE)
_MARKS = re.compile(r"[\\*_~`|<>\[\]#]")
_LINE_MARKS = re.compile(r"(?m)^(\s*)([-+]|\d+(?=[.)]))")
_ADDRESS = re.compile(r"https?://[^\s<>]+")
_LANGUAGE = re.compile(r"^[A-Za-z0-9+#_-]{1,20}$")
_LINK_SCHEMES = ("https://", "http://")


def units(text: str) -> int:
    """The text's length as Discord's clients count it: in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def escape(text: str) -> str:
    """Plain text, as Discord shows it literally: no mark, no mention, no broadcast comes out of it."""
    return _escape(bare(text))


def discord_markdown(markdown: str) -> str:
    """The text with Discord's marks for headings, bold, links, lists and code; everything else escaped."""
    return "\n\n".join(_blocks(tree(bare(markdown)), "")).strip("\n")


def bare(text: str) -> str:
    """The text without characters that nobody sees, which would hide a mention until Discord drops them."""
    return "".join(
        character
        for character, follows in zip_longest(text, text[1:], fillvalue="")
        if character in "\n\t"
        or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
        or (character == _JOINER and not follows.isascii())
    )


def cut(text: str, limit: int) -> str:
    """The last net under texts that were measured before; half an escape is not left at the end."""
    if units(text) <= limit:
        return text
    kept = text[: limit - 1]
    while units(kept) > limit - 1:
        kept = kept[:-1]
    return kept.rstrip("\\") + "…"


def _escape(text: str) -> str:
    """Bare addresses are left whole, since Discord makes links of them."""
    done, at = [], 0
    for match in _ADDRESS.finditer(text):
        done += [_escape_words(text[at : match.start()]), _address(match.group())]
        at = match.end()
    return "".join([*done, _escape_words(text[at:])])


def _escape_words(text: str) -> str:
    marked = _MARKS.sub(lambda match: f"\\{match.group()}", text)
    marked = _LINE_MARKS.sub(_escaped_bullet, marked)
    return _RINGS.sub(f"@{_BREAK}", marked)


def _escaped_bullet(match: re.Match[str]) -> str:
    """A line that begins like an entry of a list is none: a number's mark stands behind it."""
    space, mark = match.groups()
    return f"{space}{mark}{_BREAK}" if mark.isdigit() else f"{space}\\{mark}"


def _address(address: str) -> str:
    """An address that cannot be taken for a mention, nor end a masked link."""
    quoted = address.replace("(", "%28").replace(")", "%29").replace(" ", "%20").replace("\\", "%5C")
    quoted = quoted.replace("<", "%3C").replace(">", "%3E").replace("`", "%60").replace("|", "%7C")
    return _RINGS.sub("%40", quoted)


def _blocks(parent: SyntaxTreeNode, indent: str) -> Iterator[str]:
    for node in parent.children:
        match node.type:
            case "heading":
                title = " ".join(inline(node, _span).split())
                yield f"{'##' if node.tag == 'h1' else '###'} {title}" if title else ""
            case "paragraph":
                yield inline(node, _span)
            case "fence" | "code_block":
                yield _fence(node.content.rstrip(), node.info.strip())
            case "bullet_list" | "ordered_list":
                yield _list(node, indent)
            case "blockquote":
                inner = "\n\n".join(_blocks(node, ""))
                yield "\n".join(f"> {line}" for line in inner.splitlines())
            case "table":
                yield _fence(table(node), "")
            case "hr":
                yield "———"
            case _:
                yield _escape(node.content)


def _fence(code: str, language: str) -> str:
    opening = language if _LANGUAGE.match(language) else ""
    return f"```{opening}\n{_code(code)}\n```"


def _list(node: SyntaxTreeNode, indent: str) -> str:
    start = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else 0
    lines = []
    for number, item in enumerate(node.children):
        bullet = f"{start + number}." if node.type == "ordered_list" else "-"
        inner = f"{indent}{' ' * (len(bullet) + 1)}"
        first, *rest = "\n".join(_blocks(item, inner)).splitlines() or [""]
        lines.append(f"{indent}{bullet} {first.removeprefix(inner)}")
        lines.extend(line if line.startswith(inner) else f"{inner}{line}" for line in rest)
    return "\n".join(lines)


def _code(text: str) -> str:
    return _RINGS.sub(f"@{_BREAK}", text).replace("```", f"`{_BREAK}``")


def _span(node: SyntaxTreeNode) -> str:
    inner = "".join(_span(child) for child in node.children)
    match node.type:
        case "text":
            return _escape(node.content)
        case "strong":
            return f"**{inner}**" if inner.strip() else inner
        case "em":
            return f"*{inner}*" if inner.strip() else inner
        case "s":
            return f"~~{inner}~~" if inner.strip() else inner
        case "code_inline":
            return f"`{_RINGS.sub(f'@{_BREAK}', node.content).replace('`', 'ˋ')}`"
        case "softbreak" | "hardbreak":
            return "\n"
        case "link":
            return _link(str(node.attrs.get("href", "")), inner, "".join(texts(node)))
        case "image":
            shown = node.content or "image"
            return _link(str(node.attrs.get("src", "")), _escape(shown), shown)
        case _:
            return inner or _escape(node.content)


def _link(address: str, label: str, words: str) -> str:
    """A masked link; Discord shows one whose label is an address itself as text, so that one stands bare."""
    if not address.lower().startswith(_LINK_SCHEMES):
        return label
    target = _address(address)
    if not words.strip() or words == address:
        return target
    flat = " ".join(label.split())
    return f"[{flat}]({target}){_leads_to(address, words)}"


def _leads_to(address: str, label: str) -> str:
    host = hidden_host(address, label)
    return f" ({_escape_words(host)})" if host else ""
