"""Markdown as agents write it, read into a tree that each platform writes down in its own dialect."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

_HOST = re.compile(r"(?:[\w-]+\.)+[^\W\d_]{2,}")


def tree(markdown: str) -> SyntaxTreeNode:
    """The text's blocks. Raw HTML stays text, and bare addresses are left to the platform."""
    return SyntaxTreeNode(_parser().parse(markdown))


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def texts(node: SyntaxTreeNode) -> Iterator[str]:
    """The words below a node, without their marks."""
    if not node.children:
        yield node.content
    for child in node.children:
        yield from texts(child)


def inline(node: SyntaxTreeNode, span: Callable[[SyntaxTreeNode], str]) -> str:
    """What is written in a block, each span of it as `span` has it."""
    return "".join(span(child) for line in node.children for child in line.children)


def table(node: SyntaxTreeNode, cell: Callable[[str], str] = str) -> str:
    """A table in columns of one width; `cell` makes what is written in each."""
    rows = [
        [cell("".join(texts(column))) for column in row.children]
        for part in node.children
        for row in part.children
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def hidden_host(address: str, label: str) -> str:
    """Where a link leads whose label reads like the address of another host; empty for an honest one."""
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        host = "an address that cannot be read"
    named = {name.lower() for name in _HOST.findall(label)}
    return host if host and named - {host} else ""
