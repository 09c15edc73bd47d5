"""The rules that admins wrote in the catalogue: channels and keywords."""

from __future__ import annotations

import re
from collections.abc import Iterable

from classifier.request import RoutingRequest
from session.catalogue import Repository


def matches(
    request: RoutingRequest, repositories: Iterable[Repository]
) -> tuple[tuple[Repository, str], ...]:
    """Every repository that a rule points to, with the rule in words; two or more mean: ambiguous.

    A keyword in the message decides over a channel: it is about this message, the channel about all.
    """
    listed = tuple(repositories)
    by_keyword = tuple(
        (repository, f"the word “{keyword}” belongs to it")
        for repository in listed
        if (keyword := _keyword(request.text, repository)) is not None
    )
    if by_keyword:
        return by_keyword
    channel = request.channel_name.lstrip("#").lower()
    return tuple(
        (repository, f"#{channel} is its channel")
        for repository in listed
        if channel and channel in {name.lstrip("#").lower() for name in repository.channels}
    )


def _keyword(text: str, repository: Repository) -> str | None:
    for keyword in repository.keywords:
        if re.search(rf"(?<!\w){re.escape(keyword)}(?!\w)", text, re.IGNORECASE):
            return keyword
    return None
