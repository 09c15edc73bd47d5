"""What Discord takes as a message, and whom it would ring.

Source: https://docs.discord.com/developers/resources/message#create-message, #allowed-mentions-object
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.emulators.discord.components import check_layout, units
from tests.emulators.discord.refusals import Json, invalid
from tests.emulators.discord.rendering import texts
from tests.emulators.discord.world import COMPONENTS_V2, EPHEMERAL, SUPPRESS_EMBEDS

CONTENT_CHARS = 2_000
NONCE_CHARS = 25
_CREATE = {
    "content",
    "components",
    "flags",
    "nonce",
    "enforce_nonce",
    "tts",
    "allowed_mentions",
    "message_reference",
}
_EDIT = {"content", "components", "flags", "allowed_mentions", "embeds", "attachments", "tts"}
_MENTION = re.compile(r"<@!?(\d{1,20})>|<@&(\d{1,20})>|@(everyone|here)")
_PARSED = ("users", "roles", "everyone")


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says, once it was found to be in order. `rings` names whom it would notify."""

    content: str
    components: list[Json]
    flags: int
    rings: tuple[str, ...]


def check_create(body: Json, *, aside: bool = False) -> Content:
    """A new message. `aside`: whether it may be for one person alone. Raises: Refused."""
    _known(body, _CREATE)
    flags = _flags(
        body, EPHEMERAL | SUPPRESS_EMBEDS | COMPONENTS_V2 if aside else SUPPRESS_EMBEDS | COMPONENTS_V2
    )
    nonce = body.get("nonce")
    if nonce is not None and (not isinstance(nonce, str | int) or len(str(nonce)) > NONCE_CHARS):
        raise invalid("nonce", "NONCE_TYPE_STRING_TOO_LONG", "Must be 25 or fewer in length.")
    return _content(body, flags)


def check_edit(body: Json, before: int) -> Content:
    """The new state of a message that had the flags `before`. Raises: Refused."""
    _known(body, _EDIT)
    flags = _flags(body, SUPPRESS_EMBEDS | COMPONENTS_V2) | before
    return _content(body, flags)


def _content(body: Json, flags: int) -> Content:
    content, components = body.get("content") or "", body.get("components") or []
    if not isinstance(content, str) or units(content) > CONTENT_CHARS:
        raise invalid("content", "BASE_TYPE_MAX_LENGTH", "Must be 2000 or fewer in length.")
    if flags & COMPONENTS_V2:
        if content or body.get("embeds"):
            raise invalid(
                "content",
                "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
                "The 'content' field cannot be used when using MessageFlags.IS_COMPONENTS_V2",
            )
        components = check_layout(components)
    elif components:
        raise invalid("components", "UNION_TYPE_CHOICES", "the old layout is not known here")
    if not content.strip() and not components:
        raise invalid("content", "BASE_TYPE_REQUIRED", "Cannot send an empty message")
    return Content(content, components, flags, _rings(body, content, components))


def _rings(body: Json, content: str, components: list[Json]) -> tuple[str, ...]:
    """Whom the mentions in the texts would notify. Without `allowed_mentions` all of them do."""
    allowed = body.get("allowed_mentions", {"parse": list(_PARSED), "replied_user": True})
    parse = set(allowed.get("parse", ()))
    if odd := parse - set(_PARSED):
        raise invalid("allowed_mentions.parse", "BASE_TYPE_CHOICES", f"no such kinds: {sorted(odd)}")
    found: list[str] = []
    for text in texts(content, components):
        for account, role, everyone in _MENTION.findall(text):
            if account and ("users" in parse or account in map(str, allowed.get("users", ()))):
                found.append(f"user {account}")
            if role and ("roles" in parse or role in map(str, allowed.get("roles", ()))):
                found.append(f"role {role}")
            if everyone and "everyone" in parse:
                found.append(everyone)
    if body.get("message_reference") and allowed.get("replied_user"):
        found.append("whoever is replied to")
    return tuple(found)


def _known(body: Json, names: set[str]) -> None:
    if odd := set(body) - names:
        raise invalid("body", "UNKNOWN_FIELD", f"fields that are not known here: {sorted(odd)}")


def _flags(body: Json, allowed: int) -> int:
    flags = body.get("flags") or 0
    if not isinstance(flags, int) or flags & ~allowed:
        raise invalid("flags", "BITFIELD_INVALID", f"flags that cannot be set here: {flags}")
    return flags
