"""Typed reading of an operation's arguments."""

from __future__ import annotations

from typing import Dict, Mapping

from .refusal import Refused

Args = Mapping[str, object]
Result = Dict[str, object]


def text(args: Args, key: str) -> str:
    """The string at `key`. Raises: Refused."""
    value = args.get(key)
    if not isinstance(value, str):
        raise Refused(f"{key} must be a text")
    return value


def optional_text(args: Args, key: str) -> str | None:
    return None if args.get(key) is None else text(args, key)


def whole(args: Args, key: str, default: int, lowest: int = 0, highest: int = 2**53) -> int:
    """The number at `key`, or `default`. Raises: Refused outside `lowest`..`highest`."""
    value = args.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise Refused(f"{key} must be a whole number from {lowest} to {highest}")
    return value


def seconds(args: Args, key: str) -> float:
    """The duration at `key`. Raises: Refused when it is not above zero."""
    value = args.get(key)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
        raise Refused(f"{key} must be a number of seconds above zero")
    return float(value)


def flag(args: Args, key: str) -> bool:
    """The boolean at `key`, False when absent. Raises: Refused."""
    value = args.get(key, False)
    if not isinstance(value, bool):
        raise Refused(f"{key} must be true or false")
    return value


def texts(args: Args, key: str) -> dict[str, str]:
    """The mapping of texts at `key`, empty when absent. Raises: Refused."""
    value = args.get(key) or {}
    if not isinstance(value, dict):
        raise Refused(f"{key} must be an object")
    for name, item in value.items():
        if not isinstance(name, str) or not isinstance(item, str) or "\0" in name + item or "=" in name:
            raise Refused(f"{key} must map names to texts")
    return value
