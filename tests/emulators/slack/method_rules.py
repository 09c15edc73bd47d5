"""What each Web API method asks of its caller: token, scopes, and how often it may be called.

Source: https://docs.slack.dev/reference/methods and https://docs.slack.dev/apis/web-api/rate-limits
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.emulators.slack.workspace import ChannelKind

SPECIAL = None
HISTORY = "history"
READ = "read"


@dataclass(frozen=True, slots=True)
class MethodRule:
    """`scopes` are all needed; `per_kind` adds one that depends on the kind of channel (`im:history`).

    `tier` None means that the method has a rule of its own or none that matters.
    """

    tier: int | None = SPECIAL
    scopes: tuple[str, ...] = ()
    per_kind: str | None = None
    app_token: bool = False


RULES = {
    "auth.test": MethodRule(),
    "apps.connections.open": MethodRule(1, ("connections:write",), app_token=True),
    "bots.info": MethodRule(3, ("users:read",)),
    "chat.postMessage": MethodRule(SPECIAL, ("chat:write",)),
    "chat.update": MethodRule(3, ("chat:write",)),
    "chat.postEphemeral": MethodRule(4, ("chat:write",)),
    "chat.delete": MethodRule(3, ("chat:write",)),
    "chat.getPermalink": MethodRule(),
    "chat.unfurl": MethodRule(3, ("links:write",)),
    "chat.startStream": MethodRule(2, ("chat:write",)),
    "chat.appendStream": MethodRule(4, ("chat:write",)),
    "chat.stopStream": MethodRule(2, ("chat:write",)),
    "agents.sessions.setStatus": MethodRule(3, ("assistant:write", "chat:write")),
    "conversations.history": MethodRule(3, per_kind=HISTORY),
    "conversations.replies": MethodRule(3, per_kind=HISTORY),
    "conversations.info": MethodRule(3, per_kind=READ),
    "conversations.members": MethodRule(4, per_kind=READ),
    "conversations.open": MethodRule(3, ("im:write",)),
    "users.conversations": MethodRule(3),
    "emoji.list": MethodRule(2, ("emoji:read",)),
    "files.info": MethodRule(4, ("files:read",)),
    "reactions.add": MethodRule(3, ("reactions:write",)),
    "reactions.remove": MethodRule(2, ("reactions:write",)),
    "reactions.get": MethodRule(3, ("reactions:read",)),
    "users.info": MethodRule(4, ("users:read",)),
    "views.open": MethodRule(4),
    "views.update": MethodRule(4),
    "views.publish": MethodRule(4),
}

CALLS_PER_MINUTE = {1: 1, 2: 20, 3: 50, 4: 100}

EVENT_SCOPES = {
    "app_mention": "app_mentions:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "reaction_added": "reactions:read",
    "reaction_removed": "reactions:read",
    "link_shared": "links:read",
    "app_home_opened": None,
    "agent_session_stopped": None,
    "app_uninstalled": None,
    "tokens_revoked": None,
}
"""Events an app can subscribe to, and the scope without which they are not sent."""

COMMANDS_SCOPE = "commands"
"""Without it, a workspace has none of the app's slash commands and shortcuts.

Source: https://docs.slack.dev/reference/scopes/commands
"""

ALL_BOT_SCOPES = frozenset(
    {"app_mentions:read", "assistant:write", "chat:write", "channels:history", "channels:read"}
    | {COMMANDS_SCOPE}
    | {"emoji:read", "files:read", "groups:history", "groups:read", "im:history", "im:read", "im:write"}
    | {"links:read", "links:write", "reactions:read", "reactions:write", "users:read"}
    | {"users:read.email"}
)


def kind_scope(kind: ChannelKind, ability: str) -> str:
    """The scope for reading channels of one kind, as `groups:history`."""
    return {"channel": "channels", "group": "groups", "im": "im"}[kind] + ":" + ability
