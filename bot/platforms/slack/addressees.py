"""Which workspace a delivery is for. One app, with one signing secret, is installed in any number of them.

Source: https://docs.slack.dev/apis/events-api#authorizations and the reference of interaction payloads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bot.platforms.slack.api import Json

_MENTION = re.compile(r"<@([UW][A-Z0-9]+)")


def addressee(body: Json, bots: Mapping[str, str]) -> str | None:
    """The one of our workspaces that takes the delivery; None: it is for none of them.

    `bots`: our account's id in each workspace. In a channel that workspaces share, Slack tells an app once
    what happens there, and names one of its workspaces, whichever that is. So the bot that is spoken to
    goes first, then the author's own workspace, where they are no guests. Then who may see it, since the bot
    is surely in the channel there. Of several the smallest id, so that all that is told of one message is
    taken by the same.
    """
    if bots.keys().isdisjoint(workspaces_named(body)):
        return None
    spoken_to = _spoken_to(body)
    groups = (
        {team for team, bot in bots.items() if bot in spoken_to},
        _homes(body) & bots.keys(),
        *(named & bots.keys() for named in _named(body)),
    )
    return next(min(group) for group in groups if group)


def workspaces_named(body: Json) -> frozenset[str]:
    """Ids of the workspaces and organisations that the delivery names as its receivers."""
    return frozenset[str]().union(*_named(body))


def _named(body: Json) -> Iterator[frozenset[str]]:
    """What a delivery says of its receivers, that which is surest first.

    Where the author comes from (`user_team`, `source_team`, the user's `team_id`) does not count.
    """
    seen_by = body.get("authorizations") or ()
    yield _ids(*(entry.get("team_id") for entry in seen_by))
    yield _ids((body.get("view") or {}).get("app_installed_team_id"))
    yield _ids(body.get("team_id"), (body.get("team") or {}).get("id"))
    yield _ids(body.get("context_team_id"))
    yield _ids(
        *(entry.get("enterprise_id") for entry in seen_by),
        body.get("context_enterprise_id"),
        (body.get("enterprise") or {}).get("id"),
    )


def _spoken_to(body: Json) -> frozenset[str]:
    """Accounts whose message was pressed or reacted to, or, in a shared channel, who are mentioned.

    Elsewhere a mention is only text: anybody can write down the id of a bot that is not there.
    """
    event = body.get("event") or {}
    mentioned = _MENTION.findall(str(event.get("text") or "")) if body.get("is_ext_shared_channel") else ()
    return _ids((body.get("message") or {}).get("user"), event.get("item_user"), *mentioned)


def _homes(body: Json) -> frozenset[str]:
    """Where the author comes from, in a shared channel."""
    event = body.get("event") or {}
    if not body.get("is_ext_shared_channel"):
        return frozenset()
    return _ids(event.get("user_team"), event.get("source_team"))


def _ids(*names: object) -> frozenset[str]:
    return frozenset(str(name) for name in names if name)
