"""What a reaction means: the one table, and how the many spellings of an emoji fold into one name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from bot.messages import MessageKind

Meaning = Literal["yes", "thumbs_up", "thumbs_down", "no", "again", "fork", "start"]
Intent = Literal["approve", "withdraw", "refuse", "stop", "retry", "fork", "start", "good", "bad"]

DEFAULT_NAMES: Mapping[Meaning, frozenset[str]] = {
    "yes": frozenset({"white_check_mark", "heavy_check_mark"}),
    "thumbs_up": frozenset({"+1", "thumbsup"}),
    "thumbs_down": frozenset({"-1", "thumbsdown"}),
    "no": frozenset({"octagonal_sign", "x"}),
    "again": frozenset({"repeat"}),
    "fork": frozenset({"fork_and_knife"}),
    "start": frozenset({"bellhop", "bellhop_bell"}),
}

NAMES_OF_CHARACTERS: Mapping[str, str] = {
    "✅": "white_check_mark",
    "✔": "heavy_check_mark",
    "👍": "+1",
    "👎": "-1",
    "🛑": "octagonal_sign",
    "❌": "x",
    "🔁": "repeat",
    "🍴": "fork_and_knife",
    "🛎": "bellhop_bell",
    "👀": "eyes",
    "👌": "ok_hand",
    "⚠": "warning",
}
"""Short names of the emoji that the bot reads or sets. Source: the short names of emoji-data."""

_SKIN_TONE_NAME = re.compile(r"::skin-tone-\d")
_SKIN_TONES_AND_VARIANTS = re.compile("[\U0001f3fb-\U0001f3ff\ufe0f\ufe0e]")


def short_name(emoji: str) -> str:
    """The emoji's short name without colons, skin tone and variant, whatever way it came."""
    bare = _SKIN_TONE_NAME.sub("", emoji.strip()).strip(":").lower()
    bare = _SKIN_TONES_AND_VARIANTS.sub("", bare) or bare
    return NAMES_OF_CHARACTERS.get(bare, bare)


@dataclass(frozen=True, slots=True)
class ReactionTable:
    """Which names mean what; `names` may be widened with a workspace's own emoji."""

    names: Mapping[Meaning, frozenset[str]]

    @classmethod
    def standard(cls, extra: Mapping[Meaning, Iterable[str]] | None = None) -> ReactionTable:
        """The table of the docs, plus the workspace's own names from `extra`."""
        extra = extra or {}
        return cls(
            {
                meaning: names | {short_name(name) for name in extra.get(meaning, ())}
                for meaning, names in DEFAULT_NAMES.items()
            }
        )

    def meaning(self, emoji: str) -> Meaning | None:
        """What the emoji stands for, None when it is just an emoji."""
        name = short_name(emoji)
        return next((meaning for meaning, names in self.names.items() if name in names), None)

    def intent(self, emoji: str, kind: MessageKind | None, *, added: bool = True) -> Intent | None:
        """What the person wants who put `emoji` under (or took it from) a message of `kind`.

        `kind` is None for a message that belongs to no session. None comes back when nothing is meant.
        """
        meaning = self.meaning(emoji)
        if meaning is None:
            return None
        if not added:
            return "withdraw" if kind == "approval" and meaning in ("yes", "thumbs_up") else None
        return _INTENTS.get((meaning, kind)) or _ANYWHERE.get(meaning)


_ANYWHERE: Mapping[Meaning, Intent] = {"start": "start"}

_INTENTS: Mapping[tuple[Meaning, MessageKind | None], Intent] = {
    ("yes", "approval"): "approve",
    ("thumbs_up", "approval"): "approve",
    ("no", "approval"): "refuse",
    ("no", "card"): "stop",
    ("no", "request"): "stop",
    ("no", "question"): "stop",
    ("no", "repository"): "stop",
    ("again", "card"): "retry",
    ("again", "failure"): "retry",
    ("again", "notice"): "retry",
    ("again", "request"): "retry",
    ("fork", "card"): "fork",
    ("fork", "answer"): "fork",
    ("thumbs_up", "answer"): "good",
    ("thumbs_down", "answer"): "bad",
}
