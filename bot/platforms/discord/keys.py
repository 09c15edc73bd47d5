"""What our messages carry unseen: the key they were sent with, and what their buttons are about.

A key becomes the number of the message's outermost component, which Discord keeps and gives back, and a
nonce, by which Discord itself recognises a second try for some minutes (docs/decisions/0089).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from bot.messages import Action, Choice
from bot.platforms.discord.markdown import units

CUSTOM_ID_CHARACTERS = 100
OPTION_CHARACTERS = 100
SEARCH = "search"

_PREFIX = "bh"
_SEPARATOR = "|"
_HEX = re.compile(r"^(?:[0-9a-f]{2}){4,}$")
_ESCAPES = (("~", "~0"), ("|", "~1"))
_DIGEST = "#"


@dataclass(frozen=True, slots=True)
class Carried:
    """What a button or menu is about. `action`: also "search", which opens the search for a repository."""

    action: str
    session_id: str
    ref: str = ""
    value: str = ""


def number_of(key: str) -> int:
    """The number that a message with this key carries: 31 bits, never 0 (Discord takes 0 for none)."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) % (2**31 - 1) + 1


def nonce_of(key: str) -> str:
    """The nonce of a message with this key: 24 characters, of 25 that Discord takes."""
    return hashlib.sha256(key.encode()).hexdigest()[:24]


def custom_id(carried: Carried, index: int) -> str | None:
    """The id of a button or menu, told from its neighbours by `index`; None when it would be too long."""
    fields = (carried.action, str(index), carried.session_id, carried.ref, carried.value)
    made = _SEPARATOR.join([_PREFIX, *(_packed(field) for field in fields), ""])
    return made if units(made) <= CUSTOM_ID_CHARACTERS else None


def read_custom_id(text: str) -> Carried:
    """What `custom_id` was made from. Raises: ValueError, when it is none of ours."""
    prefix, *fields, last = text.split(_SEPARATOR)
    if prefix != _PREFIX or len(fields) != 5 or last:
        raise ValueError(f"not one of our buttons: {text[:80]!r}")
    action, _, session_id, ref, value = (_unpacked(field) for field in fields)
    if action not in (*get_args(Action), SEARCH):
        raise ValueError(f"no button does {action[:40]!r}")
    return Carried(action, session_id, ref, value)


def short_value(value: str) -> str:
    """The value of a choice, short enough for a menu or a button whatever its length; never only blanks."""
    fits = len(value) <= 40 and value.isprintable() and not value.isspace()
    if fits and not value.startswith(_DIGEST):
        return value
    return _DIGEST + hashlib.sha256(value.encode()).hexdigest()[:16]


def whole_value(short: str, choices: Iterable[Choice]) -> str:
    """The value that `short_value` made this from; itself when there is none."""
    if not short.startswith(_DIGEST):
        return short
    return next((choice.value for choice in choices if short_value(choice.value) == short), short)


def matching(choices: Sequence[Choice], words: str, most: int) -> list[Choice]:
    """Choices in which all these words occur, those whose name begins with them first."""
    wanted = words.strip().lower().split()
    found = [c for c in choices if all(w in f"{c.label} {c.description}".lower() for w in wanted)]
    first = wanted[0] if wanted else ""
    names = {choice.value: choice.label.lower() for choice in found}
    found.sort(key=lambda c: (first not in names[c.value], not names[c.value].startswith(first)))
    return found[:most]


def _packed(field: str) -> str:
    """Hexadecimal, as ids and digests are, takes a third less in another spelling."""
    if _HEX.match(field):
        return "=" + base64.urlsafe_b64encode(bytes.fromhex(field)).decode().rstrip("=")
    for plain, escaped in _ESCAPES:
        field = field.replace(plain, escaped)
    return f"~2{field[1:]}" if field.startswith("=") else field


def _unpacked(field: str) -> str:
    if field.startswith("="):
        padded = field[1:] + "=" * (-len(field[1:]) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).hex()
    field = f"={field[2:]}" if field.startswith("~2") else field
    for plain, escaped in reversed(_ESCAPES):
        field = field.replace(escaped, plain)
    return field
