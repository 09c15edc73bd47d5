"""Previews under links to companion pages that people write in Slack.

Source: https://docs.slack.dev/messaging/unfurling-links-in-messages
"""

from __future__ import annotations

import structlog

from bot.messages import Place
from bot.platforms.protocol import PlatformError
from bot.platforms.slack.api import Json, SlackApi
from bot.platforms.slack.blocks import Block
from bot.platforms.slack.mrkdwn import escape
from bot.previews import Preview, SessionPreviews
from session.database import DatabaseDown

MOST_LINKS = 5

_log = structlog.get_logger(__name__)


class Unfurling:
    """Shows previews, where there are any. What goes wrong is noted and not said: the link is there."""

    def __init__(self, api: SlackApi, previews: SessionPreviews) -> None:
        self._api = api
        self._previews = previews

    async def show(self, event: Json, place: Place) -> None:
        """Previews of the links of a `link_shared` event, under the message that has or is to have them."""
        try:
            found = await self._found(event, place)
            if found:
                await self._api.call("chat.unfurl", unfurls=found, **_where(event))
        except (PlatformError, DatabaseDown) as error:
            _log.info("slack.cannot_unfurl", channel=place.channel, detail=str(error))

    async def _found(self, event: Json, place: Place) -> dict[str, Block]:
        found: dict[str, Block] = {}
        for link in event["links"][:MOST_LINKS]:
            preview = await self._previews.of(str(link["url"]), place)
            if preview is not None:
                found[str(link["url"])] = {"blocks": _blocks(preview)}
        return found


def _where(event: Json) -> dict[str, str]:
    """A message that is still being written has no time; Slack names it by an id of its own."""
    if event.get("unfurl_id") and event.get("source"):
        return {"unfurl_id": str(event["unfurl_id"]), "source": str(event["source"])}
    return {"channel": str(event["channel"]), "ts": str(event["message_ts"])}


def _blocks(preview: Preview) -> list[Block]:
    facts = "  ·  ".join(escape(fact) for fact in (preview.state, preview.repository) if fact)
    return [
        {"type": "section", "text": {"type": "mrkdwn", "text": f"*{escape(preview.title)}*"}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": facts}]},
    ]
