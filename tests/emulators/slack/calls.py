"""One call of a Web API method, and what methods need to answer it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.slack.event_feed import EventFeed
from tests.emulators.slack.limits import TEXT_CHARS, check_blocks
from tests.emulators.slack.refusals import Json, Refused
from tests.emulators.slack.views import Views
from tests.emulators.slack.workspace import Workspace

_BROADCAST = re.compile(r"<!(channel|here|everyone)(\||>)")


@dataclass(frozen=True, slots=True)
class Call:
    """`args` are decoded; `violate` records a rule the caller broke although Slack lets it pass; `scopes` are
    those of the token."""

    method: str
    args: Json
    workspace: Workspace
    feed: EventFeed
    views: Views
    violate: Callable[[str], None]
    scopes: frozenset[str]

    def need(self, *scopes: str) -> None:
        """Nothing, if the token has all `scopes`.

        Raises:
            Refused: it has not.
        """
        missing = sorted(set(scopes) - self.scopes)
        if missing:
            provided = ",".join(sorted(self.scopes))
            raise Refused("missing_scope", extra={"needed": ",".join(missing), "provided": provided})

    def text(self, name: str) -> str:
        """A string argument.

        Raises:
            Refused: it is missing or no string.
        """
        value = self.args.get(name)
        if not isinstance(value, str) or not value:
            raise Refused("invalid_arguments", f"missing required field: {name}")
        return value

    def number(self, name: str, default: int) -> int:
        """A whole number, which forms carry as text."""
        return int(self.args.get(name, default))

    def flag(self, name: str) -> bool:
        """A boolean, which forms carry as text."""
        return str(self.args.get(name, "")).lower() in ("true", "1")


Method = Callable[[Call], Awaitable[Json]]


@dataclass(frozen=True, slots=True)
class Content:
    """What a message will show, checked."""

    text: str
    blocks: list[Json] = field(default_factory=list)
    metadata: Json | None = None


def content_of(call: Call) -> Content:
    """The content a call wants to send.

    Raises:
        Refused: Slack would not take it.
    """
    args = call.args
    if args.get("markdown_text"):
        return _markdown_content(call)
    text, raw_blocks = args.get("text") or "", args.get("blocks")
    if not text and not raw_blocks and not args.get("attachments"):
        raise Refused("no_text")
    if len(text) > TEXT_CHARS:
        raise Refused("msg_too_long", f"{len(text)} characters")
    blocks = check_blocks(raw_blocks) if raw_blocks else []
    if blocks and not text.strip():
        call.violate(f"{call.method}: blocks without a text that notifications can show")
    if _BROADCAST.search(text) or _BROADCAST.search(str(blocks)):
        call.violate(f"{call.method}: the message rings everyone in the channel")
    return Content(text, blocks, _metadata(args.get("metadata")))


def _markdown_content(call: Call) -> Content:
    text = call.text("markdown_text")
    if call.args.get("text") or call.args.get("blocks"):
        raise Refused("markdown_text_conflict")
    if len(text) > 12_000:
        raise Refused("msg_too_long", f"{len(text)} characters of markdown_text")
    return Content(text, [{"type": "markdown", "text": text}], _metadata(call.args.get("metadata")))


def _metadata(raw: Any) -> Json | None:
    if raw is None:
        return None
    well_formed = (
        isinstance(raw, dict)
        and isinstance(raw.get("event_type"), str)
        and isinstance(raw.get("event_payload"), dict)
    )
    if not well_formed:
        raise Refused("invalid_metadata_format", "needs event_type and event_payload")
    return dict(raw)
