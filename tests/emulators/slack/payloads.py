"""Slack's own shapes of things, as they stand in events and in answers."""

from __future__ import annotations

from tests.emulators.slack.refusals import Json
from tests.emulators.slack.workspace import APP_ID, BOT_ID, Channel, File, Message, User

DOMAIN = "emulated"


def message_payload(message: Message) -> Json:
    """A message, as history and interactions carry it."""
    payload: Json = {
        "type": "message",
        "user": message.author.id,
        "text": message.text,
        "ts": message.ts,
        "team": message.author.team_id,
    }
    if message.author.is_bot:
        payload |= {"bot_id": BOT_ID, "app_id": APP_ID}
    if message.blocks:
        payload["blocks"] = message.blocks
    if message.thread_ts:
        payload["thread_ts"] = message.thread_ts
    if message.metadata:
        payload["metadata"] = message.metadata
    if message.files:
        payload |= {"files": [file_payload(file) for file in message.files], "subtype": "file_share"}
    if message.reactions:
        payload["reactions"] = reactions_payload(message)
    if message.revisions:
        payload["edited"] = {"user": message.author.id, "ts": message.ts}
    return payload


def reactions_payload(message: Message) -> list[Json]:
    """The reactions on a message."""
    return [
        {"name": name, "users": list(users), "count": len(users)} for name, users in message.reactions.items()
    ]


def file_payload(file: File) -> Json:
    """An uploaded file."""
    return {
        "id": file.id,
        "name": file.name,
        "title": file.name,
        "mimetype": file.mimetype,
        "filetype": file.name.rpartition(".")[2],
        "size": len(file.content),
        "user": file.user,
        "mode": "hosted",
        "is_external": False,
        "url_private": file.url,
        "url_private_download": file.url,
    }


def user_payload(user: User, *, with_email: bool) -> Json:
    """A person, as `users.info` answers."""
    email = {"email": user.email} if with_email and user.email else {}
    return {
        "id": user.id,
        "team_id": user.team_id,
        "name": user.name.lower(),
        "real_name": user.name,
        "deleted": False,
        "tz": "Europe/London",
        "is_bot": user.is_bot,
        "is_restricted": user.is_restricted,
        "is_ultra_restricted": user.is_ultra_restricted,
        "is_stranger": user.is_stranger,
        "profile": {"display_name": user.name, "real_name": user.name, "team": user.team_id, **email},
    }


def channel_payload(channel: Channel, bot_user_id: str) -> Json:
    """A channel, as `conversations.info` answers."""
    if channel.kind == "im":
        others = sorted(channel.members - {bot_user_id})
        return {"id": channel.id, "is_im": True, "user": others[0], "is_channel": False, "is_archived": False}
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": channel.kind == "channel",
        "is_group": channel.kind == "group",
        "is_private": channel.kind == "group",
        "is_im": False,
        "is_archived": False,
        "is_member": bot_user_id in channel.members,
        "is_ext_shared": False,
        "topic": {"value": channel.topic},
        "purpose": {"value": ""},
    }


def person_payload(user: User) -> Json:
    """A person, as interactions carry them."""
    return {"id": user.id, "username": user.name.lower(), "name": user.name.lower(), "team_id": user.team_id}


def team_payload(team_id: str) -> Json:
    """The workspace, as interactions carry it."""
    return {"id": team_id, "domain": DOMAIN}
