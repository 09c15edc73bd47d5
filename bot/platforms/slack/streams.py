"""The card while work goes on, as a message that Slack streams: its plan is ticked off as it happens.

It is the one card all the same: begun as a stream where the workspace has streams, and edited like any other
from the first moment on that it does not just move along. A stream carries no key until it is stopped, so one
whose beginning we did not live to write down is told by having none (docs/decisions/0091).
Source: https://docs.slack.dev/reference/methods/chat.startStream
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog

from bot.long_text import one_line
from bot.messages import Button, Place, PlanLine, StatusCard
from bot.platforms.protocol import Busy, MessageGone, PlatformError, Unreachable
from bot.platforms.slack.agent import SESSION_STATUS, Offer
from bot.platforms.slack.api import Json, SlackApi
from bot.platforms.slack.blocks import Block, live_blocks
from bot.platforms.slack.mrkdwn import inert

STILL_STREAMED = "streaming_state_conflict"
"""How Slack refuses to edit a message that is being streamed."""

TITLE_CHARACTERS = 250
STEP_CHARACTERS = 110
MOST_STEPS = 30
MOST_ADDITIONS = 3
"""Blocks cannot be changed in a stream, only added; after so many times the card goes on as an edited one."""

_STREAMS_KEPT = 500
_STEP_STATUS = {"pending": "pending", "in_progress": "in_progress", "done": "complete", "dropped": "complete"}
_MOVING_FACTS = frozenset({"Time", "Cost", "Changes", "In line"})
"""Figures that are never the same twice are left for the card's end."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a stream shows. `tasks` by id; `added`: how often blocks were."""

    title: str = ""
    tasks: Mapping[str, tuple[str, str]] | None = None
    lines: tuple[str, ...] = ()
    buttons: tuple[Button, ...] = ()
    added: int = 0


class CardStreams:
    """The cards that are being streamed by this process."""

    def __init__(self, api: SlackApi) -> None:
        self._api = api
        self._offer = Offer("streamed cards")
        self._open: OrderedDict[tuple[str, str], tuple[str, Shown]] = OrderedDict()

    async def begin(self, place: Place, card: StatusCard, key: str, team: str) -> str | None:
        """The id of the streamed card; None where it has to be posted. `team`: the workspace's own id.

        Raises: Unreachable: it may have begun. Look for it with `begun`.
        """
        if card.tone != "working" or not place.thread or not self._offer.there:
            return None
        if not self._api.is_free("chat.startStream"):
            return None  # few of these are allowed; an edited card is there at once
        shown, chunks = news(Shown(), card)
        try:
            recipient = await self._recipient(place)
            if recipient is None and not place.channel.startswith("D"):
                return None
            answer = await self._api.call(
                "chat.startStream",
                channel=place.channel,
                thread_ts=place.thread,
                recipient_user_id=recipient,
                recipient_team_id=team,
                task_display_mode="plan",
                chunks=chunks,
            )
        except Unreachable:
            raise
        except Busy:
            return None
        except PlatformError as error:
            self._offer.refused(error)
            return None
        message = str(answer["ts"])
        self._open[place.channel, message] = (key, shown)
        if len(self._open) > _STREAMS_KEPT:
            self._open.popitem(last=False)
        return message

    async def show(self, place: Place, message: str, card: StatusCard) -> bool:
        """Whether the stream shows the card now; False: there is none, and the message is to be edited.

        Raises: PlatformError.
        """
        key, before = self._open.get((place.channel, message), ("", None))
        if before is None:
            return False
        shown, chunks = news(before, card)
        if card.tone == "working" and shown.added <= MOST_ADDITIONS:
            try:
                if chunks:
                    await self._api.call(
                        "chat.appendStream", channel=place.channel, ts=message, chunks=chunks
                    )
            except (Busy, MessageGone):
                raise
            except PlatformError as error:
                # Somebody stopped it, or Slack did after a while. Whether this was added is not known: an
                # edit shows all of it.
                _log.info("slack.stream_ended", channel=place.channel, detail=str(error))
            else:
                self._open[place.channel, message] = (key, shown)
                return True
        await self.end(place, message, card)
        return False

    async def end(self, place: Place, message: str, card: StatusCard) -> None:
        """The message is streamed no longer. Raises: PlatformError."""
        key, _ = self._open.pop((place.channel, message), ("", None))
        await self._api.quietly(
            "chat.stopStream",
            frozenset({"message_not_in_streaming_state"}),
            channel=place.channel,
            ts=message,
            metadata=card_metadata(key) if key else None,
            session_status=SESSION_STATUS[card.tone],
        )

    async def _recipient(self, place: Place) -> str | None:
        """The person who began the thread: in channels, Slack wants to know for whom it streams."""
        answer = await self._api.call(
            "conversations.replies", channel=place.channel, ts=place.thread, limit=1
        )
        root: Json = next(iter(answer["messages"]), {})
        return str(root["user"]) if root.get("user") and not root.get("bot_id") else None


def card_metadata(key: str) -> Json:
    """What a message of ours carries unseen, so that it is found by its key."""
    return {"event_type": "bellhop_message", "event_payload": {"key": key}}


def begun(messages: Sequence[Json], place: Place, key: str, bot: str) -> str | None:
    """The card that was begun as a stream and never written down: our only message without a key.

    `messages`: the thread, oldest first; `key`: as the feed makes them, ending in the name of what is sent.
    """
    if key.rpartition(":")[2].partition(".")[0] != "card":
        return None
    ours = [m for m in messages if m.get("user") == bot and str(m["ts"]) != place.thread]
    return next((str(m["ts"]) for m in reversed(ours) if not m.get("metadata")), None)


def news(before: Shown, card: StatusCard) -> tuple[Shown, list[Block]]:
    """What a stream shows of the card, and the chunks that bring it there."""
    lines = [f"*{label}* {value}" for label, value in card.facts if label not in _MOVING_FACTS]
    lines = [line for line in (*lines, *card.notes) if line not in before.lines]
    buttons = tuple(button for button in card.buttons if button not in before.buttons)
    title = _words(f"{card.state}: {card.action}" if card.action else card.state, TITLE_CHARACTERS)
    old = before.tasks or {}
    tasks = dict(_tasks(card.plan, old))
    first = before == Shown()
    blocks = live_blocks(card, lines, buttons, len(before.buttons), titled=first)
    chunks: list[Block] = [{"type": "blocks", "blocks": blocks}] if blocks else []
    if title != before.title:
        chunks.append({"type": "plan_update", "title": title})
    chunks.extend(
        {"type": "task_update", "id": name, "title": text, "status": status}
        for name, (text, status) in tasks.items()
        if old.get(name) != (text, status)
    )
    shown = Shown(
        title=title,
        tasks=tasks,
        lines=(*before.lines, *lines),
        buttons=(*before.buttons, *buttons),
        added=before.added + (1 if blocks and not first else 0),
    )
    return shown, chunks


def _tasks(
    plan: Sequence[PlanLine], old: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Steps by their place in the plan. What the plan has no longer cannot be taken away, only be dropped."""
    for number, line in enumerate(plan[:MOST_STEPS]):
        text = _words(line.text, STEP_CHARACTERS)
        dropped = f"Dropped: {text}" if line.status == "dropped" else text
        yield f"step-{number}", (dropped, _STEP_STATUS[line.status])
    more = len(plan) - MOST_STEPS
    if more > 0:
        yield "more", (f"and {more} more", "pending")
    for name, (text, _) in old.items():
        gone = name == "more" and more <= 0
        if gone or (name != "more" and int(name.removeprefix("step-")) >= len(plan)):
            yield name, (text if text.startswith("Dropped: ") else f"Dropped: {text}", "complete")


def _words(text: str, limit: int) -> str:
    return inert(one_line(text, limit))[:limit] or "…"
