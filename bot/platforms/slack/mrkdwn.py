"""Markdown as agents write it, in Slack's own dialect, with nothing left in it that rings people.

Source: https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from markdown_it.tree import SyntaxTreeNode

from bot.platforms.markdown_tree import hidden_host, inline, table, tree

_BROADCAST = re.compile(r"@(here|channel|everyone)\b", re.IGNORECASE)
_WORD_JOINER = "\u2060"
_LINK_SCHEMES = ("https://", "http://", "mailto:")


def escape(text: str) -> str:
    """Plain text, as Slack shows it literally: no mention, no link, no broadcast comes out of it."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _BROADCAST.sub(rf"@{_WORD_JOINER}\1", plain)


def inert(text: str) -> str:
    """Plain text for places where Slack reads no marks, and that rings nobody should it read some."""
    return _BROADCAST.sub(rf"@{_WORD_JOINER}\1", text).replace("<", "‹").replace(">", "›")


def mrkdwn(markdown: str) -> str:
    """The text with Slack's marks for bold, italics, links, lists and code; everything else escaped."""
    return "\n\n".join(_blocks(tree(markdown), "")).strip("\n")


def _blocks(parent: SyntaxTreeNode, indent: str) -> Iterator[str]:
    for node in parent.children:
        match node.type:
            case "heading":
                yield f"*{inline(node, _span).replace('*', '')}*"
            case "paragraph":
                yield inline(node, _span)
            case "fence" | "code_block":
                yield f"```\n{_code(node.content.rstrip())}\n```"
            case "bullet_list" | "ordered_list":
                yield _list(node, indent)
            case "blockquote":
                inner = "\n\n".join(_blocks(node, indent))
                yield "\n".join(f"> {line}" for line in inner.splitlines())
            case "table":
                yield f"```\n{table(node, _code)}\n```"
            case "hr":
                yield "———"
            case _:
                yield escape(node.content)


def _list(node: SyntaxTreeNode, indent: str) -> str:
    start = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else 0
    lines = []
    for number, item in enumerate(node.children):
        bullet = f"{start + number}." if node.type == "ordered_list" else "•"
        body = "\n".join(_blocks(item, indent + "    "))
        first, *rest = body.splitlines() or [""]
        lines.append(f"{indent}{bullet} {first}")
        lines.extend(line if line.startswith(indent + "    ") else f"{indent}    {line}" for line in rest)
    return "\n".join(lines)


def _code(text: str) -> str:
    return escape(text).replace("```", f"`{_WORD_JOINER}``")


def _span(node: SyntaxTreeNode) -> str:
    inner = "".join(_span(child) for child in node.children)
    match node.type:
        case "text":
            return escape(node.content)
        case "strong":
            return f"*{inner}*" if inner.strip() else inner
        case "em":
            return f"_{inner}_" if inner.strip() else inner
        case "s":
            return f"~{inner}~" if inner.strip() else inner
        case "code_inline":
            return f"`{escape(node.content).replace('`', 'ˋ')}`"
        case "softbreak" | "hardbreak":
            return "\n"
        case "link":
            return _link(str(node.attrs.get("href", "")), inner)
        case "image":
            return _link(str(node.attrs.get("src", "")), escape(node.content) or "image")
        case _:
            return inner or escape(node.content)


def _link(address: str, label: str) -> str:
    if not address.lower().startswith(_LINK_SCHEMES):
        return label
    target = address.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")
    if not label.strip():
        return f"<{target}>"
    return f"<{target}|{label.replace('|', '¦').replace(chr(10), ' ')}>{_leads_to(address, label)}"


def _leads_to(address: str, label: str) -> str:
    host = hidden_host(address, label)
    return f" ({escape(host)})" if host else ""
