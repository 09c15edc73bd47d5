"""The rules that admins wrote: channels and keywords in the catalogue, and what they set for a channel."""

from __future__ import annotations

import re
from collections.abc import Iterable

from classifier.request import RoutingRequest
from session.catalogue import Repository


def matches(
    request: RoutingRequest, repositories: Iterable[Repository]
) -> tuple[tuple[Repository, str], ...]:
    """Every repository that a rule points to, with the rule in words; two or more mean: ambiguous.

    A keyword in the message decides over a channel: it is about this message, the channel about all. A word
    that is watched in the channel counts like a keyword, its repository like a channel in the catalogue.
    """
    listed = tuple(repositories)
    own = request.channel_rules
    watched = dict(own.repositories_of(request.text)) if own else {}
    theirs = own.repository if own else None
    by_keyword = tuple(
        (repository, f"the word “{keyword}” belongs to it")
        for repository in listed
        if (keyword := _keyword(request.text, repository) or watched.get(repository.slug)) is not None
    )
    if by_keyword:
        return by_keyword
    channel = request.channel_name.lstrip("#").lower()
    return tuple(
        (repository, f"#{channel} is its channel" if channel else "this is its channel")
        for repository in listed
        if repository.slug == theirs
        or (channel and channel in {name.lstrip("#").lower() for name in repository.channels})
    )


def _keyword(text: str, repository: Repository) -> str | None:
    for keyword in repository.keywords:
        if re.search(rf"(?<!\w){re.escape(keyword)}(?!\w)", text, re.IGNORECASE):
            return keyword
    return None
