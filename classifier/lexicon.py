"""Words of other languages, and other words, for what descriptions of repositories say in English."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import yaml

_FILE = Path(__file__).with_name("lexicon.yaml")
_WHOLE_BELOW = 5
_INSIDE_FROM = 8
"""Letters of a beginning: fewer make it a whole word, so many let it count inside a word too."""


def plain(text: str) -> str:
    """The text in small letters without accents."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def meanings(words: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """What each of the words, written as `plain` does, stands for in English; only those that are known."""
    known = _lexicon()
    found = {}
    for word in words:
        meant = [english for beginning, english in known.items() if _begins(word, beginning)]
        if meant:
            found[word] = frozenset[str]().union(*meant)
    return found


def _begins(word: str, beginning: str) -> bool:
    if len(beginning) < _WHOLE_BELOW:
        return word == beginning
    return word.startswith(beginning) or (len(beginning) >= _INSIDE_FROM and beginning in word)


@cache
def _lexicon() -> Mapping[str, frozenset[str]]:
    content: dict[str, list[str]] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    lexicon: dict[str, frozenset[str]] = {}
    for english, beginnings in content.items():
        for beginning in beginnings:
            lexicon[beginning] = lexicon.get(beginning, frozenset()) | frozenset(english.split())
    return lexicon
