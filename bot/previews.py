"""What is shown of a session where somebody writes the address of its page: little, and nothing secret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from bot.card import status_card
from bot.messages import Place, Tone
from session.log import Log, NoSuchSession
from session.view import SessionView

_PATH = re.compile(r"/s/([\w-]{1,64})/?")
UNTITLED = "A session"


@dataclass(frozen=True, slots=True)
class Preview:
    """A session in a line or two. `repository` is empty until it is known."""

    title: str
    state: str
    tone: Tone
    repository: str


class SessionPreviews:
    """Previews of the sessions whose pages begin at `public_url`."""

    def __init__(self, log: Log, public_url: str) -> None:
        self._log = log
        self._pages = urlsplit(public_url.rstrip("/"))

    async def of(self, address: str, shown_at: Place) -> Preview | None:
        """The session whose page has that address, as people at `shown_at` may see it; None for all else.

        Raises: DatabaseDown.
        """
        session_id = self._session_id(address)
        if session_id is None:
            return None
        try:
            view = await self._log.view(session_id)
        except NoSuchSession:
            return None
        card = status_card(view, public_url="")
        return Preview(
            title=UNTITLED if _was_said_in_confidence(view, shown_at) else card.title,
            state=card.state,
            tone=card.tone,
            repository=view.repository.slug if view.repository else "",
        )

    def _session_id(self, address: str) -> str | None:
        try:
            url = urlsplit(address)
            same = (url.hostname, url.port) == (self._pages.hostname, self._pages.port)
        except ValueError:
            return None
        match = _PATH.fullmatch(url.path.removeprefix(self._pages.path))
        return match.group(1) if same and url.scheme in ("http", "https") and match else None


def _was_said_in_confidence(view: SessionView, shown_at: Place) -> bool:
    """A title is made of what was asked: what was said in direct messages is not repeated elsewhere."""
    same = (view.origin.workspace, view.origin.channel) == (shown_at.workspace, shown_at.channel)
    return not same and not view.origin.channel_name
