"""Inbound triggers: every module here is one, found by its name.

A trigger module has `SOURCE`, its path under `/webhooks/`, and `make(settings, commands)`, which gives the
endpoint, or None when its settings are missing.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from session.commands import Commands
from session.settings import Settings

Receive = Callable[[Request], Awaitable[Response]]


class Trigger(Protocol):
    """What a module of this package offers."""

    SOURCE: str

    def make(self, settings: Settings, commands: Commands) -> Receive | None:
        """The endpoint, or None when the settings it needs are empty."""


def discover() -> Iterator[Trigger]:
    """Every trigger there is."""
    for module in pkgutil.iter_modules(__path__):
        yield cast("Trigger", importlib.import_module(f"{__name__}.{module.name}"))


def routes(settings: Settings, commands: Commands) -> list[Route]:
    """The routes of the triggers that are set up."""
    made = ((trigger.SOURCE, trigger.make(settings, commands)) for trigger in discover())
    return [Route(f"/webhooks/{source}", receive, methods=["POST"]) for source, receive in made if receive]
