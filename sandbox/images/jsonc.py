"""JSON as people write it by hand: comments and a comma after the last entry are allowed.

No parser for it is among the packages that this project has, and what is to be done fits on a screen.
"""

from __future__ import annotations

import json
import re

# A string is taken whole, so that nothing inside it counts.
_STRING = r'"(?:[^"\\]|\\.)*"'
_COMMENTS = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_LAST_COMMAS = re.compile(rf"{_STRING}|,(?=\s*[\]}}])", re.DOTALL)
_NOT_A_LINE_END = re.compile(r"[^\n]")


class NotJson(Exception):
    """The text cannot be read. `line` counts from 1."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line
        self.what = what


def plain_json(text: str) -> str:
    """The text with blanks for comments and last commas: every other character stays in its place.

    Source: https://code.visualstudio.com/docs/languages/json (JSON with Comments)
    """
    return _LAST_COMMAS.sub(_blanked, _COMMENTS.sub(_blanked, text))


def read_jsonc(text: str) -> object:
    """What the text says. Raises: NotJson."""
    try:
        value: object = json.loads(plain_json(text.removeprefix("\ufeff")))
    except json.JSONDecodeError as error:
        raise NotJson(error.lineno, error.msg) from error
    except RecursionError as error:
        raise NotJson(1, "it is nested too deeply") from error
    return value


def line_of(text: str, name: str) -> int:
    """The line of the first entry of that name; 1 when there is none."""
    found = re.search(rf"{re.escape(json.dumps(name))}\s*:", plain_json(text))
    return 1 if found is None else text.count("\n", 0, found.start()) + 1


def _blanked(found: re.Match[str]) -> str:
    whole = found[0]
    return whole if whole.startswith('"') else _NOT_A_LINE_END.sub(" ", whole)
