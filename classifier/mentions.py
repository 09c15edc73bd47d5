"""Repositories that a text names outright."""

from __future__ import annotations

import re
from collections.abc import Iterable

from session.catalogue import Repository

_EDGE_BEFORE = r"(?<![\w/.-])"
_EDGE_AFTER = r"(?![\w/-])"


def names(repository: Repository) -> tuple[str, ...]:
    """The words a person may use for it: the slug's last part and the aliases, each once, in lower case."""
    short = repository.slug.rsplit("/", 1)[-1]
    return tuple(dict.fromkeys(word.lower() for word in (short, *repository.aliases)))


def named_outright(text: str, repositories: Iterable[Repository]) -> tuple[Repository, ...]:
    """The repositories that `text` names beyond doubt, in catalogue order.

    Beyond doubt are: the whole slug, the web address, and a short name that is marked as a name, in backticks
    or beside the word "repo" or "repository". A short name in running text is only a hint: "billing" is also
    an English word.
    """
    lowered = text.lower()
    return tuple(r for r in repositories if _is_named(lowered, r))


def named_in_vain(text: str, repositories: Iterable[Repository]) -> str | None:
    """The first slug in `text` that is none of `repositories`, though its owner has some of them.

    Only then is it a name for sure: `src/app` and `and/or` look the same.
    """
    slugs = {repository.slug.lower() for repository in repositories}
    owners = "|".join(sorted(re.escape(owner) for owner in {slug.partition("/")[0] for slug in slugs}))
    found = re.findall(rf"{_EDGE_BEFORE}((?:{owners})/\w[\w.-]*){_EDGE_AFTER}", text, re.IGNORECASE)
    bare = (slug.rstrip(".-").removesuffix(".git") for slug in found)
    return next((slug for slug in bare if slug.lower() not in slugs), None)


def _is_named(lowered: str, repository: Repository) -> bool:
    address = repository.url.lower().removesuffix(".git")
    # Of a page below it too: an issue, a file, a line.
    if address.startswith("http") and re.search(re.escape(address) + r"(?![\w-])", lowered):
        return True
    if re.search(_EDGE_BEFORE + re.escape(repository.slug.lower()) + _EDGE_AFTER, lowered):
        return True
    return any(_is_marked(lowered, name) for name in names(repository))


def _is_marked(lowered: str, name: str) -> bool:
    word = re.escape(name)
    patterns = (
        rf"`{word}`",
        rf"{_EDGE_BEFORE}{word} repo(sitory)?\b",
        rf"\brepo(sitory)? {word}{_EDGE_AFTER}",
    )
    return any(re.search(pattern, lowered) for pattern in patterns)
