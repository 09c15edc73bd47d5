"""How many boxes of which repository should wait."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from session.catalogue import Repository

SESSIONS_PER_BOX = 6
"""One box more waits for so many sessions in the last hour: making one takes seconds, so one alone serves
sessions that come minutes apart."""


def wanted(
    repositories: Sequence[Repository], demand: Mapping[str, int], hinted: Collection[str], most: int
) -> Mapping[str, int]:
    """Boxes by slug, `most` in all; a repository that should have none is left out.

    demand: sessions that got their box in the last hour, by slug. hinted: slugs that somebody is about to ask
    something of. Those come first, then what the catalogue says, then the busiest; each gets one box before
    any gets its second.
    """
    asked = {each.slug: _asked(each, demand.get(each.slug, 0), each.slug in hinted) for each in repositories}
    fixed = {each.slug for each in repositories if each.warm is not None}
    order = sorted(
        (slug for slug, number in asked.items() if number),
        key=lambda slug: (slug not in hinted, slug not in fixed, -demand.get(slug, 0), slug),
    )
    given = dict.fromkeys(order, 0)
    for _ in range(most):
        lacking = [slug for slug in order if given[slug] < asked[slug]]
        if not lacking:
            break
        given[min(lacking, key=lambda slug: given[slug])] += 1
    return {slug: number for slug, number in given.items() if number}


def _asked(repository: Repository, sessions: int, hinted: bool) -> int:
    if repository.warm is not None:
        return repository.warm
    if sessions:
        return 1 + sessions // SESSIONS_PER_BOX
    return 1 if hinted else 0
