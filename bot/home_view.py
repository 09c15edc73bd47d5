"""The bot's own page on a platform, for one person: what waits for them, what is at work, preferences."""

from __future__ import annotations

from dataclasses import dataclass, field

from session.preferences import Preferences
from session.view import State


@dataclass(frozen=True, slots=True)
class HomeSession:
    """One session in a list. `page`: its companion page; empty: there is none."""

    title: str
    state: State
    repository: str | None
    page: str


@dataclass(frozen=True, slots=True)
class Home:
    """What it shows. models: those that may be chosen, the usual one first. `account_page`: empty: none.

    To guests nothing is shown but that they are.
    """

    guest: bool = False
    waiting: tuple[HomeSession, ...] = ()
    running: tuple[HomeSession, ...] = ()
    preferences: Preferences = field(default_factory=Preferences)
    models: tuple[str, ...] = ()
    account_page: str = ""
