"""Slack's own display of agents at work, where a workspace has it: a thread's status, with a Stop button.

Nothing is configured: what Slack answers says whether it is there. After a refusal it is left alone until the
next start. Source: https://docs.slack.dev/ai/agent-sessions
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal

import structlog

from bot.long_text import one_line
from bot.messages import Place, StatusCard, Tone
from bot.platforms.protocol import Busy, PlatformError, Unreachable
from bot.platforms.slack.api import SlackApi, code_of

SessionStatus = Literal["active", "processing", "suspended"]

SESSION_STATUS: Mapping[Tone, SessionStatus] = {
    "working": "processing",
    "waiting": "suspended",
    "done": "active",
    "failed": "active",
    "stopped": "active",
    "quiet": "active",
}
"""What Slack calls it. While it says `processing` it shows its Stop button; only we can move it on."""

TITLE_CHARACTERS = 200
_KEPT = 2_000
_OF_THIS_THREAD = frozenset(
    {
        "channel_is_archived",
        "channel_not_found",
        "invalid_blocks",
        "invalid_chunks",
        "is_archived",
        "message_not_found",
        "msg_blocks_too_long",
        "msg_too_long",
        "not_in_channel",
        "restricted_action",
        "thread_not_found",
        "user_not_found",
        "user_not_in_channel",
    }
)

_log = structlog.get_logger(__name__)


class Offer:
    """Something that Slack offers in some workspaces. `there` is False once it was refused."""

    def __init__(self, name: str) -> None:
        self.there = True
        self._name = name

    def refused(self, error: PlatformError) -> None:
        """Slack will not: for one thread, or for the workspace, and then it is not asked again."""
        if code_of(error) not in _OF_THIS_THREAD:
            self.there = False
            _log.info("slack.not_offered", what=self._name, detail=str(error))


class AgentStatus:
    """The native status of threads: it follows the card, and is set only where it changes."""

    def __init__(self, api: SlackApi) -> None:
        self._api = api
        self._offer = Offer("agent status")
        self._shown: OrderedDict[tuple[str, str], SessionStatus] = OrderedDict()

    def moving(self, place: Place, card: StatusCard) -> None:
        """The card is about to be shown: another status than its own is not known any more.

        The end of a stream moves it too, and what gets no answer may have moved it.
        """
        key = (place.channel, place.thread)
        if self._shown.get(key) != SESSION_STATUS[card.tone]:
            self._shown.pop(key, None)

    async def follow(self, place: Place, card: StatusCard) -> None:
        """The thread's status is that of the card.

        Raises: Busy, Unreachable: then it may be the old one still, and the card has to be shown again.
        """
        status, key = SESSION_STATUS[card.tone], (place.channel, place.thread)
        if not place.thread or not self._offer.there or self._shown.get(key) == status:
            return
        self.moving(place, card)
        try:
            await self._api.call(
                "agents.sessions.setStatus",
                channel_id=place.channel,
                thread_ts=place.thread,
                status=status,
                title=one_line(card.title, TITLE_CHARACTERS),
            )
        except (Busy, Unreachable):
            raise
        except PlatformError as error:
            self._offer.refused(error)
            return
        self._shown[key] = status
        self._shown.move_to_end(key)
        if len(self._shown) > _KEPT:
            self._shown.popitem(last=False)
