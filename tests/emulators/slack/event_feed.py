"""Turns what happens in the workspace into the events Slack sends to an app."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from tests.emulators.slack.method_rules import EVENT_SCOPES
from tests.emulators.slack.payloads import message_payload
from tests.emulators.slack.refusals import Json
from tests.emulators.slack.views import View
from tests.emulators.slack.workspace import APP_ID, Message, User, Workspace

_MESSAGE_EVENT = {"channel": "message.channels", "group": "message.groups", "im": "message.im"}


class EventFeed:
    """Builds events and hands them to `deliver`, those only that the app subscribed to and may see."""

    def __init__(
        self,
        workspace: Workspace,
        deliver: Callable[[Json], None],
        subscriptions: Iterable[str],
        scopes: Iterable[str],
    ) -> None:
        granted = set(scopes)
        self._wanted = {
            name for name in subscriptions if EVENT_SCOPES[name] is None or EVENT_SCOPES[name] in granted
        }
        self._workspace = workspace
        self._deliver = deliver

    def message_posted(self, message: Message) -> None:
        """Somebody (the bot too) wrote something: `message`, and `app_mention` where the bot is named."""
        kind = message.channel.kind
        event = {
            **message_payload(message),
            "channel": message.channel.id,
            "event_ts": message.ts,
            "channel_type": kind,
            **self._parent(message),
        }
        mentioned = (
            f"<@{self._workspace.bot.id}>" in message.text and kind != "im" and not message.author.is_bot
        )
        if mentioned:
            mention = {key: value for key, value in event.items() if key not in ("channel_type", "subtype")}
            self._send("app_mention", {**mention, "type": "app_mention"}, message.author)
        if self._workspace.bot.id in message.channel.members:
            self._send(_MESSAGE_EVENT[kind], event, message.author)

    def message_changed(self, message: Message, before: Json) -> None:
        """Somebody edited a message."""
        event = {
            "type": "message",
            "subtype": "message_changed",
            "hidden": True,
            "channel": message.channel.id,
            "channel_type": message.channel.kind,
            "ts": self._workspace.new_ts(),
            "event_ts": message.ts,
            "message": message_payload(message),
            "previous_message": before,
        }
        self._send(_MESSAGE_EVENT[message.channel.kind], event, message.author)

    def reaction(self, message: Message, user: User, name: str, *, added: bool) -> None:
        """Somebody put a reaction on a message or took it off."""
        kind = "reaction_added" if added else "reaction_removed"
        event = {
            "type": kind,
            "user": user.id,
            "reaction": name,
            "item": {"type": "message", "channel": message.channel.id, "ts": message.ts},
            "item_user": message.author.id,
            "event_ts": self._workspace.new_ts(),
        }
        self._send(kind, event, user)

    def home_opened(self, user: User, view: View | None, tab: str = "home") -> None:
        """Somebody looks at the app's home tab, or at the messages with it."""
        event: Json = {
            "type": "app_home_opened",
            "user": user.id,
            "channel": self._workspace.direct_channel(user.id).id,
            "tab": tab,
            "event_ts": self._workspace.new_ts(),
        }
        self._send(
            "app_home_opened", {**event, "view": view.payload()} if view and tab == "home" else event, user
        )

    def link_shared(self, message: Message, url: str) -> None:
        """Somebody wrote a link to one of the app's domains."""
        domain = url.split("/")[2]
        unfurl_id = self._workspace.new_id("unfurl-")
        self._workspace.shared_links[unfurl_id] = (message, url)
        event = {
            "type": "link_shared",
            "user": message.author.id,
            "channel": message.channel.id,
            "message_ts": message.ts,
            "thread_ts": message.root_ts,
            "links": [{"domain": domain, "url": url}],
            "is_bot_user_member": self._workspace.bot.id in message.channel.members,
            "unfurl_id": unfurl_id,
            "source": "conversations_history",
            "event_ts": self._workspace.new_ts(),
        }
        self._send("link_shared", event, message.author)

    def agent_stopped(self, user: User, channel_id: str, thread_ts: str, streams: list[str]) -> None:
        """Somebody pressed Slack's own stop button of an agent session; `streams` ended with it."""
        event = {
            "type": "agent_session_stopped",
            "user": user.id,
            "channel": channel_id,
            "thread_ts": thread_ts,
            "streaming_message_ts": streams,
            "event_ts": self._workspace.new_ts(),
        }
        self._send("agent_session_stopped", event, user)

    def uninstalled(self, token_owner: User) -> None:
        """Somebody took the app away from the workspace, and its token with it."""
        self._send("app_uninstalled", {"type": "app_uninstalled"}, token_owner)
        tokens = {"oauth": [], "bot": [token_owner.id]}
        self._send("tokens_revoked", {"type": "tokens_revoked", "tokens": tokens}, token_owner)

    def _parent(self, message: Message) -> Json:
        if message.thread_ts is None:
            return {}
        return {"parent_user_id": self._workspace.message(message.channel.id, message.thread_ts).author.id}

    def _send(self, subscription: str, event: Json, actor: User) -> None:
        if subscription not in self._wanted:
            return
        if actor.is_stranger:
            event = {**event, "user_team": actor.team_id, "source_team": actor.team_id}
        self._deliver(
            {
                "token": "legacy-verification-token",
                "team_id": self._workspace.team_id,
                "context_team_id": self._workspace.team_id,
                "context_enterprise_id": None,
                "api_app_id": APP_ID,
                "event": event,
                "type": "event_callback",
                "event_id": self._workspace.new_id("Ev"),
                "event_time": int(time.time()),
                "authorizations": [
                    {
                        "enterprise_id": None,
                        "team_id": self._workspace.team_id,
                        "user_id": self._workspace.bot.id,
                        "is_bot": True,
                        "is_enterprise_install": False,
                    }
                ],
                "is_ext_shared_channel": actor.is_stranger,
                "event_context": self._workspace.new_id("4-"),
            }
        )
