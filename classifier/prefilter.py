"""BM25 over the catalogue: keeps the fast model's prompt bounded when there are many repositories.

Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), for the
formula and the usual constants k1 = 1.2 and b = 0.75.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from session.catalogue import Repository

_K1 = 1.2
_B = 0.75


def terms(text: str) -> list[str]:
    """The words of `text` in lower case; parts of `dotted.names`, `snake_case` and CamelCase stand alone."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return re.findall(r"[^\W_]+", spaced.lower())


def _trigrams(word: str) -> Iterable[str]:
    padded = f"^{word}$"
    return (padded[i : i + 3] for i in range(len(padded) - 2))


class Prefilter:
    """An index over the catalogue's repositories, built once per catalogue.

    Names also count by their letter trigrams, so that a misspelt name still finds its repository.
    """

    def __init__(self, repositories: Sequence[Repository]) -> None:
        self._repositories = tuple(repositories)
        documents = [self._document(repository) for repository in self._repositories]
        self._lengths = [sum(document.values()) for document in documents]
        self._average = sum(self._lengths) / max(len(documents), 1) or 1.0
        self._postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, document in enumerate(documents):
            for term, count in document.items():
                self._postings[term].append((number, count))

    @staticmethod
    def _document(repository: Repository) -> Counter[str]:
        name_words = terms(" ".join((repository.slug, *repository.aliases, *repository.keywords)))
        counts = Counter(name_words * 3)
        counts.update(terms(repository.description))
        counts.update(f"~{gram}" for word in name_words if len(word) > 3 for gram in _trigrams(word))
        return counts

    def best(self, text: str, limit: int = 20) -> tuple[Repository, ...]:
        """At most `limit` repositories, most likely first; those marked common fill what is left."""
        words = terms(text)
        query = set(words) | {f"~{gram}" for word in words if len(word) > 3 for gram in _trigrams(word)}
        scores: dict[int, float] = defaultdict(float)
        for term in query:
            self._add_scores(term, scores)
        ranked = [
            self._repositories[n] for n, _ in sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        ]
        common = [r for r in self._repositories if r.common and r not in ranked]
        return tuple((ranked + common)[:limit])

    def _add_scores(self, term: str, scores: dict[int, float]) -> None:
        postings = self._postings.get(term, [])
        if not postings:
            return
        weight = 0.3 if term.startswith("~") else 1.0
        rarity = math.log(1 + (len(self._repositories) - len(postings) + 0.5) / (len(postings) + 0.5))
        for number, count in postings:
            length = 1 - _B + _B * self._lengths[number] / self._average
            scores[number] += weight * rarity * count * (_K1 + 1) / (count + _K1 * length)
