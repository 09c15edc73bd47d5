"""HTML: whole pages, and the parts of a session's page that are replaced while it is open."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.environment import TemplateModule

from companion_web import wording
from companion_web.markup import agent_html, terminal_html, visible
from companion_web.timeline import Item
from session.catalogue import Catalogue
from session.each_repository import EACH, together_digest, what_each_means
from session.view import SessionView

HERE = Path(__file__).parent
STATIC = HERE / "static"

PARTS = ("head", "tabs", "plan", "facts", "asks", "queue")
"""Macros of `parts.html`; each makes one element whose id is the macro's name."""


class Fragments:
    """Renders templates. Everything is escaped unless it comes out of `markup.py`.

    catalogue: the repositories that a person can pick from.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._shared = {"repositories": tuple(repository.slug for repository in catalogue.active)}
        self._items = self._module("items.html")
        self._part_macros = self._module("parts.html")

    def page(self, name: str, **context: object) -> str:
        """A whole page from the template of that name."""
        return _templates().get_template(name).render(**self._shared, **context)

    def item(self, item: Item, view: SessionView) -> str:
        """One timeline item as a list element."""
        body = str(_macro(self._items, item.kind)(item, item.event, view)).strip()
        return f'<li id="e{item.at}" class="item is-{item.kind}" data-at="{item.at}">{body}</li>'

    def parts(self, view: SessionView) -> dict[str, str]:
        """The replaceable parts of the session's page, by element id."""
        return {name: str(_macro(self._part_macros, name)(view)).strip() for name in PARTS}

    def _module(self, name: str) -> TemplateModule:
        return _templates().get_template(name).make_module(self._shared)


@cache
def _templates() -> Environment:
    """The templates: compiled once in a process, which takes a tenth of a second."""
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(
        agent=agent_html,
        terminal=terminal_html,
        visible=visible,
        duration=wording.duration,
        dollars=wording.dollars,
        tokens=wording.tokens,
        size=wording.size,
        clock=wording.clock,
        day=wording.day,
        sha=wording.short_sha,
        one_line=wording.one_line,
        weblink=wording.weblink,
        state_words=wording.state_words,
        tone=wording.state_tone,
        part_name=wording.part_name,
        build_words=wording.build_words,
        build_tone=wording.build_tone,
    )
    templates.globals.update(
        cost=wording.cost,
        reach=wording.REACH,
        asset=_asset_addresses(),
        each_of_them=EACH,
        together_digest=together_digest,
        what_each_means=what_each_means,
    )
    return templates


def _macro(module: TemplateModule, name: str) -> Callable[..., object]:
    macro: Callable[..., object] = getattr(module, name)
    return macro


def _asset_addresses() -> dict[str, str]:
    """The address of each static file; it changes with the content, so browsers may keep it for good."""
    return {
        path.name: f"/static/{path.name}?{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
        for path in sorted(STATIC.iterdir())
    }
