"""A shell script as its simple commands, read from its syntax tree.

Source: https://github.com/tree-sitter/tree-sitter-bash for the grammar; the Bash manual for quoting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

_LANGUAGE = Language(tree_sitter_bash.language())
_CONTINUED = re.compile(r"(?<!\\)((?:\\\\)*)\\\n")
_BRACES = re.compile(r"\{[^{}]*(?:,|\.\.)[^{}]*\}")
_PATTERN = re.compile(r"(?<!\\)[*?\[]")
_WRITERS = frozenset({"cp", "mv", "ln", "install", "tee"})


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command; `plain` is False when it is only known when it runs, and `text` its source."""

    text: str
    plain: bool = True

    @property
    def name(self) -> str:
        """The last part of a path."""
        return self.text.rstrip("/").rpartition("/")[2]

    @property
    def is_option(self) -> bool:
        """Whether it begins with a dash, and is more than that."""
        return self.plain and self.text.startswith("-") and self.text not in ("-", "--")


@dataclass(frozen=True, slots=True)
class SimpleCommand:
    """A command's name and arguments; `fed` are the here-documents and here-strings that it can read."""

    words: tuple[Word, ...]
    fed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Script:
    """All simple commands of a script, in no order that matters.

    `readable` is False when a part of it does not parse; `written` are the names of files that it makes.
    """

    commands: tuple[SimpleCommand, ...]
    readable: bool
    written: frozenset[str]


def parse(text: str) -> Script:
    """The script's commands, those in substitutions, conditions and functions too."""
    source = _as_the_grammar_needs_it(text).encode("utf-8", "replace")
    root = Parser(_LANGUAGE).parse(source).root_node
    readable = not root.has_error
    commands: list[SimpleCommand] = []
    written: set[str] = set()
    for node in _below(root):
        if node.type in ("command", "declaration_command", "unset_command"):
            words = (*_words(node), *_strays(node))
            commands.append(SimpleCommand(words, tuple(_fed(node))))
            written |= _made_by(words)
            readable = readable and _on_one_line(node, source)
        elif node.type == "file_redirect" and ">" in _text(node):
            written |= {_word(each).name for each in node.children_by_field_name("destination")}
    return Script(tuple(commands), readable, frozenset(written - {"", "null", "stderr", "stdout"}))


def _as_the_grammar_needs_it(text: str) -> str:
    """Bash takes a backslash at a line's end away before it looks for words; the grammar does not, and joins
    a line that begins with a backslash to the one before."""
    return _CONTINUED.sub(r"\1", text).replace("\r\n", "\n").replace("\n\\", "\n \\")


def _on_one_line(command: Node, source: bytes) -> bool:
    """Whether no line ends between its words: where one does, the grammar has misread two commands as one."""
    gaps = pairwise(command.children)
    return not any(b"\n" in source[left.end_byte : right.start_byte] for left, right in gaps)


def _below(root: Node) -> Iterator[Node]:
    # Not by recursion: a script can be nested deeper than Python's stack.
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))


def _words(command: Node) -> Iterator[Word]:
    if command.type != "command":
        first, *rest = command.children
        yield Word(_text(first))
        yield from (_word(each) for each in rest if each.is_named)
        return
    name = command.child_by_field_name("name")
    if name is not None:
        yield _word(name.children[0] if name.children else name)
    yield from (_word(each) for each in command.children_by_field_name("argument"))


def _strays(command: Node) -> Iterator[Word]:
    """Words after a redirection, which the grammar takes for further destinations: `git 2>&1 push`."""
    above = command.parent
    if above is None or above.type != "redirected_statement":
        return
    for redirect in above.children_by_field_name("redirect"):
        if redirect.type == "file_redirect":
            yield from (_word(each) for each in redirect.children_by_field_name("destination")[1:])


def _fed(command: Node) -> Iterator[str]:
    holders = [command]
    above = command.parent
    while above is not None:
        if above.type == "redirected_statement":
            holders.append(above)
        above = above.parent
    for holder in holders:
        for redirect in holder.children:
            if redirect.type == "herestring_redirect":
                yield from (_word(each).text for each in redirect.named_children[-1:])
            elif redirect.type == "heredoc_redirect":
                yield from (_text(each) for each in redirect.children if each.type == "heredoc_body")


def _made_by(words: tuple[Word, ...]) -> set[str]:
    if len(words) < 2 or words[0].name not in _WRITERS:
        return set()
    if words[0].name == "tee":
        return {word.name for word in words[1:]}
    return {words[-1].name}


def _word(node: Node) -> Word:
    source = _text(node)
    unquoted = "".join(_unquoted(node))
    plain = not _PATTERN.search(unquoted) and not _BRACES.search(unquoted)
    pieces = node.children if node.type == "concatenation" else [node]
    literal: list[str] = []
    for piece in pieces:
        value = _literal(piece)
        if value is None or not plain:
            return Word(source, plain=False)
        literal.append(value)
    return Word("".join(literal))


def _unquoted(node: Node) -> Iterator[str]:
    for piece in node.children if node.type == "concatenation" else [node]:
        yield (
            ""
            if piece.type in ("string", "raw_string", "ansi_c_string", "translated_string")
            else _text(piece)
        )


def _literal(node: Node) -> str | None:
    """What the piece of a word stands for; None when that is only known when it runs."""
    source = _text(node)
    match node.type:
        case "word" | "number" | "variable_name" | "special_character":
            return re.sub(r"\\(.)", r"\1", source, flags=re.DOTALL)
        case "raw_string":
            return source[1:-1]
        case "ansi_c_string":
            return _ansi_c(source[2:-1])
        case "translated_string":
            return _literal(node.children[-1])
        case "string":
            if any(child.type != "string_content" for child in node.named_children):
                return None
            return re.sub(r"\\([\"\\$`])", r"\1", source[1:-1])
        case "variable_assignment" | "concatenation":
            pieces = [_literal(child) for child in node.children]
            return None if None in pieces else "".join(piece or "" for piece in pieces)
        case _:
            return None if node.is_named else source


_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}|[0-7]{1,3}|c.|.)", re.DOTALL)
_SINGLE = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "e": "\x1b",
    "E": "\x1b",
}


def _ansi_c(inner: str) -> str:
    def one(found: re.Match[str]) -> str:
        escape = found.group(1)
        if escape[0] in "xuU" and len(escape) > 1:
            code = int(escape[1:], 16)
            return chr(code) if code <= 0x10FFFF else ""
        if escape[0] in "01234567":
            return chr(int(escape, 8) & 0xFF)
        if escape[0] == "c" and len(escape) == 2:
            return chr(ord(escape[1]) & 0x1F)
        return _SINGLE.get(escape, escape)

    return _ESCAPE.sub(one, inner)


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")
