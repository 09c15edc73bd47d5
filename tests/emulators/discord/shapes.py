"""Discord's objects as its API gives them."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.emulators.discord.refusals import Json
from tests.emulators.discord.world import (
    DISCORD_EPOCH_MS,
    REPLY,
    THREAD,
    THREAD_STARTER,
    VOICE,
    Channel,
    Message,
    Role,
    Upload,
    User,
    World,
)

MESSAGE_CONTENT_LIMITED = 1 << 19


def moment(snowflake: int) -> str:
    """When something with that id was made."""
    return datetime.fromtimestamp(((snowflake >> 22) + DISCORD_EPOCH_MS) / 1000, UTC).isoformat()


def user(account: User) -> Json:
    """An account."""
    return {
        "id": str(account.id),
        "username": account.name.lower(),
        "global_name": None if account.bot else account.name,
        "discriminator": "0",
        "avatar": None,
        "bot": account.bot,
    }


def member(account: User) -> Json:
    """What the guild knows of an account, without the account itself."""
    return {
        "nick": None,
        "roles": [str(role) for role in sorted(account.roles)],
        "joined_at": "2026-01-01T00:00:00+00:00",
        "premium_since": None,
        "deaf": False,
        "mute": False,
        "flags": 0,
        "pending": account.pending,
        "communication_disabled_until": None,
    }


def whole_member(account: User) -> Json:
    """A member with its account."""
    return {**member(account), "user": user(account)}


def role(found: Role) -> Json:
    """A role."""
    tags = {"tags": {"bot_id": str(found.bot_id)}} if found.bot_id else {}
    return {
        "id": str(found.id),
        "name": found.name,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "position": 1 if found.bot_id else 0,
        "permissions": str(found.permissions),
        "managed": bool(found.bot_id),
        "mentionable": False,
        "flags": 0,
        **tags,
    }


def channel(found: Channel, world: World) -> Json:
    """A channel, a thread or a direct channel."""
    common = {
        "id": str(found.id),
        "type": found.kind,
        "last_message_id": str(found.last_message or "") or None,
    }
    if found.recipient is not None:
        return {**common, "recipients": [user(found.recipient)]}
    if found.kind == THREAD:
        assert found.parent is not None
        assert found.owner is not None
        return {
            **common,
            "guild_id": str(world.guild_id),
            "parent_id": str(found.parent.id),
            "owner_id": str(found.owner.id),
            "name": found.name,
            "message_count": sum(1 for _ in world.in_channel(found)),
            "member_count": 1,
            "rate_limit_per_user": 0,
            "flags": 0,
            "thread_metadata": {
                "archived": found.archived,
                "auto_archive_duration": 10080,
                "archive_timestamp": moment(found.id),
                "locked": found.locked,
                "create_timestamp": moment(found.id),
            },
            "member": {
                "id": str(found.id),
                "user_id": str(world.bot.id),
                "join_timestamp": moment(found.id),
                "flags": 0,
            },
        }
    return {
        **common,
        "guild_id": str(world.guild_id),
        "name": found.name,
        "topic": found.topic or None,
        "position": 0,
        "parent_id": None,
        "nsfw": False,
        "rate_limit_per_user": 0,
        "permission_overwrites": [],
        **({"bitrate": 64_000, "user_limit": 0, "rtc_region": None} if found.kind == VOICE else {}),
        "flags": 0,
    }


def guild(world: World) -> Json:
    """The guild as REST gives it."""
    return {
        "id": str(world.guild_id),
        "name": "Acme",
        "owner_id": "1",
        "icon": None,
        "description": None,
        "roles": [role(found) for found in world.roles.values()],
        "emojis": [],
        "stickers": [],
        "features": [],
        "verification_level": 0,
        "default_message_notifications": 1,
        "explicit_content_filter": 0,
        "mfa_level": 0,
        "premium_tier": 0,
        "preferred_locale": "en-US",
        "nsfw_level": 0,
        "afk_timeout": 300,
        "system_channel_flags": 0,
    }


def guild_create(world: World) -> Json:
    """The guild as the gateway tells it: with channels, and the threads that are not archived."""
    seen = [found for found in world.channels.values() if found.in_guild and not found.deleted]
    seen = [found for found in seen if world.may(found, "view_channel")]
    return {
        **guild(world),
        "unavailable": False,
        "large": False,
        "joined_at": "2026-01-01T00:00:00+00:00",
        "member_count": len(world.users),
        "members": [whole_member(world.bot)],
        "presences": [],
        "voice_states": [],
        "channels": [channel(found, world) for found in seen if not found.is_thread],
        "threads": [channel(found, world) for found in seen if found.is_thread and not found.archived],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def attachment(upload: Upload) -> Json:
    """A file of a message."""
    return {
        "id": str(upload.id),
        "filename": upload.name,
        "size": len(upload.content),
        "url": upload.url,
        "proxy_url": upload.url,
        "content_type": upload.media_type,
        **({} if upload.seconds is None else {"duration_secs": upload.seconds}),
    }


def message(found: Message, world: World, *, content: bool = True, with_reference: bool = True) -> Json:
    """A message. `content` False: as an app without the message content intent gets it."""
    readable = content or found.author is world.bot or found.channel.recipient or _mentions_bot(found, world)
    body: Json = {
        "id": str(found.id),
        "channel_id": str(found.channel.id),
        "type": found.kind,
        "author": user(found.author),
        "timestamp": moment(found.id),
        "edited_timestamp": moment(world.new_id()) if found.revisions else None,
        "tts": False,
        "pinned": False,
        "flags": found.flags,
        "mention_everyone": found.mention_everyone,
        "mentions": [user(account) for account in found.mentions],
        "mention_roles": [str(role_id) for role_id in found.mention_roles],
        "embeds": [],
        "content": found.content if readable else "",
        "components": found.components if readable else [],
        "attachments": [attachment(upload) for upload in found.uploads] if readable else [],
        "reactions": [
            {
                "emoji": {"id": None, "name": name},
                "count": len(ids),
                "me": world.bot.id in ids,
                "me_burst": False,
                "count_details": {"normal": len(ids), "burst": 0},
                "burst_colors": [],
            }
            for name, ids in found.reactions.items()
            if ids
        ],
    }
    thread = world.thread_of(found)
    if thread is not None and not found.channel.is_thread:
        body["thread"] = channel(thread, world)
    if found.reference is not None and found.kind in (REPLY, THREAD_STARTER):
        body["message_reference"] = {
            "type": 0,
            "channel_id": str(found.reference.channel.id),
            "message_id": str(found.reference.id),
            "guild_id": str(world.guild_id),
        }
        if with_reference:
            gone = found.reference.deleted
            quoted = None if gone else message(found.reference, world, content=content, with_reference=False)
            if quoted is not None and found.reference.reference is not None:
                origin = found.reference.reference
                quoted["message_reference"] = {
                    "type": 0,
                    "channel_id": str(origin.channel.id),
                    "message_id": str(origin.id),
                }
            body["referenced_message"] = quoted
    return body


def message_event(found: Message, world: World, *, content: bool) -> Json:
    """A message as the gateway tells it: with the guild and the member."""
    body = message(found, world, content=content)
    if found.channel.in_guild:
        body |= {"guild_id": str(world.guild_id), "member": member(found.author)}
    return body


def application(world: World, flags: int, endpoint: str | None) -> Json:
    """The bot's own application."""
    return {
        "id": str(world.application_id),
        "name": "bellhop",
        "icon": None,
        "description": "",
        "bot_public": False,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "flags": flags,
        "interactions_endpoint_url": endpoint,
        "owner": {"id": "1", "username": "owner", "discriminator": "0", "avatar": None},
        "team": None,
    }


def _mentions_bot(found: Message, world: World) -> bool:
    return world.bot in found.mentions
