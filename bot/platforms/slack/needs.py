"""Which methods and events of Slack are used, and the scopes they need; the manifest says the same."""

from __future__ import annotations

from collections.abc import Mapping

METHODS: Mapping[str, tuple[str, ...]] = {
    "agents.sessions.setStatus": ("assistant:write", "chat:write"),
    "auth.test": (),
    "chat.appendStream": ("chat:write",),
    "chat.getPermalink": (),
    "chat.postEphemeral": ("chat:write",),
    "chat.postMessage": ("chat:write",),
    "chat.startStream": ("chat:write",),
    "chat.stopStream": ("chat:write",),
    "chat.unfurl": ("links:write",),
    "chat.update": ("chat:write",),
    "conversations.history": ("channels:history", "groups:history", "im:history"),
    "conversations.info": ("channels:read", "groups:read", "im:read"),
    "conversations.replies": ("channels:history", "groups:history", "im:history"),
    "emoji.list": ("emoji:read",),
    "reactions.add": ("reactions:write",),
    "reactions.remove": ("reactions:write",),
    "users.conversations": ("channels:read", "groups:read", "im:read"),
    "users.info": ("users:read", "users:read.email"),
    "views.open": (),
    "views.publish": (),
}
"""Methods of the Web API with the scopes of the bot token. Source: https://docs.slack.dev/reference/methods"""

EVENTS: Mapping[str, tuple[str, ...]] = {
    "agent_session_stopped": (),
    "app_home_opened": (),
    "app_mention": ("app_mentions:read",),
    "app_uninstalled": (),
    "link_shared": ("links:read",),
    "message.channels": ("channels:history",),
    "message.groups": ("groups:history",),
    "message.im": ("im:history",),
    "reaction_added": ("reactions:read",),
    "reaction_removed": ("reactions:read",),
    "tokens_revoked": (),
}
"""Events of the bot with the scopes they need. Source: https://docs.slack.dev/reference/events"""

FILES_SCOPE = "files:read"
"""Needed to read what people attach; files are fetched from their own address, not by a method."""

SHORTCUTS: Mapping[str, str] = {"bellhop_send": "Send to Bellhop"}
"""Entries of ours in the menu of every message: callback and name."""

COMMAND = "/bellhop"
"""The slash command of the app."""

COMMANDS_SCOPE = "commands"
"""Needed to have a command, or a shortcut, at all."""


def scopes() -> frozenset[str]:
    """All scopes of the bot token."""
    needed = [*METHODS.values(), *EVENTS.values(), (FILES_SCOPE,), (COMMANDS_SCOPE,)]
    return frozenset(scope for group in needed for scope in group)
