"""Slack as a chat platform: one app in any number of workspaces, and each thing goes to its own.

Feeds, inbox and outbox know one platform, "slack"; the place of a message says in which workspace it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.messages import ChatMessage, Choice, Outgoing, Place, Post, ThreadMessage
from bot.platforms.protocol import Inbox, Limits
from bot.platforms.slack.addressees import workspaces_named
from bot.platforms.slack.api import Json
from bot.platforms.slack.blocks import MENU_OPTIONS, MESSAGE_CHARACTERS, split_post
from bot.platforms.slack.doors import SlackApp, SlackDoors
from bot.platforms.slack.installations import Installations
from bot.platforms.slack.pacing import PER_MINUTE
from bot.platforms.slack.reading import PLATFORM
from bot.platforms.slack.roster import LOOK_SECONDS, Roster
from bot.platforms.slack.workspace import SlackWorkspace
from bot.previews import SessionPreviews
from bot.reactions import ReactionTable

_LAST_WORDS = frozenset({"app_uninstalled", "tokens_revoked"})
"""What Slack says of a workspace that the app has left; the second comes when it is gone already."""

_log = structlog.get_logger(__name__)


class SlackWorkspaces:
    """All workspaces of `installations`.

    `repositories`: all that the menu of repositories offers. `http` is the ASGI application for
    `/slack/events` and `/slack/interactive`. `previews`: what links to companion pages show; None: nothing.
    `paced`: calls wait for the turns that Slack allows. `look_seconds`: how often it is
    looked what is installed. `now`: seconds that only grow, by which a workspace waits that did not go well.
    """

    name = PLATFORM
    limits = Limits(MESSAGE_CHARACTERS, MENU_OPTIONS, edits_per_minute=PER_MINUTE["chat.update"])

    def __init__(
        self,
        app: SlackApp,
        installations: Installations,
        repositories: Sequence[Choice],
        *,
        reactions: ReactionTable | None = None,
        previews: SessionPreviews | None = None,
        paced: bool = True,
        look_seconds: float = LOOK_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        table = reactions or ReactionTable.standard()

        def make(token: str) -> SlackWorkspace:
            return SlackWorkspace(
                token,
                app.api_url,
                repositories,
                reactions=table,
                previews=previews,
                paced=paced,
            )

        self._roster = Roster(installations, make, look_seconds, now)
        self._doors = SlackDoors(app, self._deliver)
        self._strangers: set[frozenset[str]] = set()
        self.http = self._doors.http

    async def run(self, inbox: Inbox) -> None:
        """Connect each workspace (as often as it takes), bring what was missed there, then all that comes.

        Raises: PlatformError, when Slack does not know the token of the only workspace that there can be.
        """
        await self._roster.run(inbox, self._doors.socket)

    async def ready(self) -> None:
        """Return once a first workspace is known and its events are taken."""
        await self._roster.ready.wait()

    async def _deliver(self, request: AsyncBoltRequest) -> BoltResponse:
        """To the one workspace that takes it. What is for another than ours is dropped, and said once:
        Slack would only send it again.
        """
        if not self._roster.is_running:
            return _later()
        if request.body.get("type") == "url_verification":
            return BoltResponse(status=200, body={"challenge": str(request.body.get("challenge"))})
        try:
            workspace = await self._roster.addressed(request.body)
        except TimeoutError:
            return _later()
        if workspace is None:
            self._drop(request.body)
            return BoltResponse(status=200)
        return await workspace.dispatch(request)

    def _drop(self, body: Json) -> None:
        named = workspaces_named(body)
        if named not in self._strangers and (body.get("event") or {}).get("type") not in _LAST_WORDS:
            self._strangers.add(named)
            _log.warning("slack.other_workspace", ours=sorted(self._roster.served), named=sorted(named))

    # What is said, in the workspace of its place

    async def post(self, place: Place, content: Outgoing, key: str) -> str:
        """The id (`ts`) of the new message."""
        return await (await self._roster.at(place.workspace)).post(place, content, key)

    async def edit(self, place: Place, message: str, content: Outgoing) -> None:
        """The message now shows `content`."""
        await (await self._roster.at(place.workspace)).edit(place, message, content)

    async def react(self, place: Place, message: str, emoji: str) -> None:
        """Our emoji stands under the message."""
        await (await self._roster.at(place.workspace)).react(place, message, emoji)

    async def unreact(self, place: Place, message: str, emoji: str) -> None:
        """Our emoji is gone from under the message."""
        await (await self._roster.at(place.workspace)).unreact(place, message, emoji)

    async def tell(self, place: Place, account: str, text: str) -> None:
        """Only this person sees it."""
        await (await self._roster.at(place.workspace)).tell(place, account, text)

    async def thread(self, place: Place, limit: int) -> tuple[ThreadMessage, ...]:
        """The newest messages of the thread, oldest first."""
        return await (await self._roster.at(place.workspace)).thread(place, limit)

    async def fetch(self, place: Place, message: str) -> ChatMessage | None:
        """The message as it stands."""
        return await (await self._roster.at(place.workspace)).fetch(place, message)

    async def find(self, place: Place, key: str) -> str | None:
        """The id of the message whose metadata holds `key`."""
        return await (await self._roster.at(place.workspace)).find(place, key)

    async def permalink(self, place: Place, message: str) -> str | None:
        """A link to the message."""
        return await (await self._roster.at(place.workspace)).permalink(place, message)

    def split(self, post: Post) -> tuple[Post, ...]:
        """The post in pieces that each fit one message."""
        return split_post(post)


def _later() -> BoltResponse:
    return BoltResponse(status=503, body="not ready", headers={"Retry-After": "5"})
