"""The messages of a session's event stream, encoded once for all clients."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sse_starlette import ServerSentEvent


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as it goes over the wire; `seq` is None for what cannot be resumed (token deltas)."""

    seq: int | None
    body: bytes


def change_frame(seq: int, items: Iterable[str], parts: Mapping[str, str]) -> Frame:
    """What event `seq` changed on the page: timeline items, then parts that replace others of the same id.

    An event that changes nothing visible is sent empty: browsers then only move their last event id.
    """
    html = "\n".join((*items, *parts.values()))
    return Frame(seq, ServerSentEvent(html, event="change", id=str(seq), sep="\n").encode())


def token_frame(turn_id: str, offset: int, text: str) -> Frame:
    """Text that the model is writing; `offset` is where it goes in the message so far."""
    return Frame(None, _json("tokens", {"turn": turn_id, "offset": offset, "text": text}))


def live_frame(turn_id: str, text: str) -> Frame:
    """All that the model has written of its unfinished message; empty when there is none."""
    return Frame(None, _json("live", {"turn": turn_id, "text": text}))


def _json(event: str, data: Mapping[str, object]) -> bytes:
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return ServerSentEvent(body, event=event, sep="\n").encode()
