"""What Slack has beside messages: the home tab, the slash command, and modals."""

from __future__ import annotations

import re
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.messages import CommandWords, Press
from bot.platforms.protocol import Inbox, PlatformError
from bot.platforms.slack.api import Json, SlackApi
from bot.platforms.slack.blocks import SEARCH_ACTION
from bot.platforms.slack.home import (
    AS_USUAL,
    BRANCH_BLOCK,
    BRANCH_CALLBACK,
    HOME_PREFIX,
    SEARCH_CALLBACK,
    asked_from,
    branch_modal,
    filled_branch,
    filled_repository,
    home_of_nobody,
    home_view,
    read_asked_from,
    search_modal,
)
from bot.platforms.slack.mrkdwn import mrkdwn
from bot.platforms.slack.needs import COMMAND
from bot.platforms.slack.reading import PLATFORM, SlackReader
from bot.preferences_words import SetBranch, SetModel, SetVerbosity, Wish
from bot.sentences import preferences as say
from session.database import DatabaseDown
from session.people import Identity

_HASH_CONFLICT = "hash_conflict"
_PRIVATE = "privategroup"
"""What Slack calls every private channel in a command."""


_log = structlog.get_logger(__name__)


class SlackSurfaces:
    """Those of the workspace of `reader`; what people do on them goes to `inbox`."""

    def __init__(self, api: SlackApi, inbox: Inbox, reader: SlackReader) -> None:
        self._api = api
        self._inbox = inbox
        self._reader = reader

    def listen(self, app: AsyncApp) -> None:
        """From now on the app's listeners are these too."""
        app.command(COMMAND)(self._on_command)
        app.action(SEARCH_ACTION)(self._on_search)
        app.action({"type": "block_actions", "action_id": re.compile(rf"^{HOME_PREFIX}:")})(self._on_home)
        app.view(SEARCH_CALLBACK)(self._on_found)
        app.view(BRANCH_CALLBACK)(self._on_branch)

    async def show_home(self, author: Identity, seen: str | None = None, said: str = "") -> None:
        """The person's home tab shows how things stand. `seen`: hash of what they have before them; where
        another has been put there since, it is made anew. `said`: a sentence above all. What goes wrong is
        logged, and right at the next look.
        """
        try:
            await self._publish(author, seen, said)
        except PlatformError as error:
            if seen is not None and str(error).endswith(_HASH_CONFLICT):
                await self.show_home(author, said=said)
                return
            _log.warning("slack.no_home", detail=str(error))

    async def _publish(self, author: Identity, seen: str | None, said: str) -> None:
        try:
            view = home_view(await self._inbox.home(author), said)
        except DatabaseDown as down:
            _log.error("chat.database_down", detail=str(down))
            view = home_of_nobody(say.HOME_AWAY)
        await self._api.call("views.publish", user_id=author.account, view=view, hash=seen)

    async def _on_command(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        channel, name = str(body["channel_id"]), str(body.get("channel_name") or "")
        if name == _PRIVATE:
            name = await self._reader.channel_name(channel)
        words = CommandWords(
            platform=PLATFORM,
            workspace=self._reader.workspace,
            channel=channel,
            author=await self._reader.person(str(body["user_id"])),
            text=await self._reader.plain(str(body.get("text") or "")),
            channel_name=name,
            is_direct=channel.startswith("D"),
        )
        await ack(response_type="ephemeral", text=mrkdwn(await self._inbox.on_words(words)))

    async def _on_home(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        action: Json = body["actions"][0]
        name = str(action["action_id"]).split(":")[1]
        if name == "branch":
            await self._api.call("views.open", trigger_id=body["trigger_id"], view=branch_modal())
        elif (wish := _wish(name, action)) is not None:
            author = await self._reader.person(str(body["user"]["id"]))
            refused = await self._inbox.on_wish(author, wish)
            # A choice that was refused goes back to what holds, and the tab says why.
            await self.show_home(author, str(body["view"]["hash"]), refused or "")
        await ack()

    async def _on_search(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        # First of all: the trigger holds for three seconds only.
        asked = asked_from(body)
        try:
            await self._api.call("views.open", trigger_id=body["trigger_id"], view=search_modal(asked))
        except PlatformError as error:
            _log.warning("slack.no_search", session_id=asked.session_id, detail=str(error))
            user = str(body["user"]["id"])
            await self._api.call(
                "chat.postEphemeral",
                channel=asked.channel,
                user=user,
                thread_ts=asked.thread,
                text=say.TOO_SLOW,
            )
        await ack()

    async def _on_found(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        view: Json = body["view"]
        asked = read_asked_from(view)
        press = Press(
            event_id=f"found:{view['id']}",
            platform=PLATFORM,
            workspace=self._reader.workspace,
            channel=asked.channel,
            thread=asked.thread,
            message=asked.message,
            author=await self._reader.person(str(body["user"]["id"])),
            action="pick_repository",
            session_id=asked.session_id,
            ref=asked.instead_of,
            value=filled_repository(view),
        )
        await self._inbox.on_press(press)
        await ack()

    async def _on_branch(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        view: Json = body["view"]
        author = await self._reader.person(str(body["user"]["id"]))
        refused = await self._inbox.on_wish(author, SetBranch(filled_repository(view), filled_branch(view)))
        if refused is not None:
            await ack(response_action="errors", errors={BRANCH_BLOCK: refused})
            return
        await self.show_home(author)
        await ack()


def _wish(name: str, action: Json) -> Wish | None:
    """What a menu or button of the home tab asks for; None for links, which only open a page."""
    chosen = str((action.get("selected_option") or {}).get("value", ""))
    match name:
        case "model":
            return SetModel(None if chosen == AS_USUAL else chosen)
        case "verbosity":
            return SetVerbosity(chosen)
        case "forget":
            return SetBranch(str(action["value"]), None)
        case _:
            return None
