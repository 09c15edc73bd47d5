"""YAML that people write by hand, read so that whatever is wrong in it can be named with its line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml


class Misplaced(Exception):
    """Something in a file is wrong. `line` counts from 1."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line
        self.what = what


@dataclass(frozen=True, slots=True)
class Lined:
    """A part of a file: its node in the syntax tree."""

    node: yaml.Node

    @property
    def line(self) -> int:
        """The line it begins in."""
        return self.node.start_mark.line + 1

    @property
    def items(self) -> tuple[Lined, ...] | None:
        """Its items, where it is a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            return None
        return tuple(Lined(item) for item in self.node.value)

    @property
    def is_mapping(self) -> bool:
        """Whether it has settings of its own."""
        return isinstance(self.node, yaml.MappingNode)

    def value(self) -> object:
        """What it says, in plain Python values. Raises: Misplaced."""
        _check_keys(self.node)
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_document(self.node)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or self.node.start_mark
            raise Misplaced(mark.line + 1, error.problem or "cannot be read") from error
        finally:
            loader.dispose()

    def line_of(self, path: Sequence[str | int]) -> int:
        """The line of the entry that a path of settings and positions leads to, as far as it leads."""
        node, line = self.node, self.line
        for part in path:
            if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
            elif isinstance(node, yaml.MappingNode):
                found = next((pair for pair in node.value if pair[0].value == part), None)
                if found is not None:
                    line, node = found[0].start_mark.line + 1, found[1]
        return line


def read(text: str) -> Lined | None:
    """The file's content; None when it is empty. Raises: Misplaced."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Misplaced(mark.line + 1 if mark else 1, error.problem or "is not YAML") from error
    except yaml.YAMLError as error:
        raise Misplaced(1, str(error)) from error
    return None if node is None else Lined(node)


def _check_keys(node: yaml.Node) -> None:
    waiting, seen = [node], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            names: set[str] = set()
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise Misplaced(key.start_mark.line + 1, "a setting's name must be plain text")
                if key.value in names:
                    raise Misplaced(key.start_mark.line + 1, f"{key.value!r} is there twice")
                names.add(key.value)
                waiting.append(value)
