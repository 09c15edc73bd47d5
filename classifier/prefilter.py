"""BM25 over the catalogue: keeps the fast model's prompt bounded when there are many repositories.

Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), for the
formula and the usual constants k1 = 1.2 and b = 0.75; McNamee and Mayfield, "Character N-Gram Tokenization
for European Language Text Retrieval" (2004), for cut words in place of a stemmer.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from classifier.lexicon import meanings, plain
from session.catalogue import Repository

_K1 = 1.2
_B = 0.75
_NAME_WEIGHT = 3
_CUTS = ((5, 0.6), (4, 0.3))
_MEANT = 0.8
_KNOWN_TOO = 0.4
_FUZZY_LETTERS = 5
_FUZZY_ALIKE = 0.65
_SAYS_NOTHING = """
a about again all also an and any are as at be been but by can cannot could do does doesn for from get has
have how i if in into is isn it its just let me my need needs no not of on one or our please should so some
that the their them then there they this to too two up us use was we what when where which who why will with
would you your
"""
_EMPTY = frozenset(_SAYS_NOTHING.split())


def terms(text: str) -> list[str]:
    """The words of `text` as `plain` writes them, without those that say nothing; parts of `dotted.names`,
    `snake_case` and CamelCase stand alone."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return [word for word in re.findall(r"[^\W_]+", plain(spaced)) if word not in _EMPTY]


class Prefilter:
    """An index over the catalogue's repositories, built once per catalogue."""

    def __init__(self, repositories: Sequence[Repository]) -> None:
        self._repositories = tuple(repositories)
        self._index = Index([_document(repository) for repository in self._repositories])

    def best(self, text: str, limit: int = 20) -> tuple[Repository, ...]:
        """At most `limit` repositories, most likely first; those marked common fill what is left."""
        best = [self._repositories[number] for number in self._index.best(text, limit)]
        common = [r for r in self._repositories if r.common and r not in best]
        return tuple((best + common)[:limit])


class Index:
    """Documents, each the count of its terms (`document_of` makes one of a text), to be found by words.

    A word that no document has counts as what it means in English, or as the word that it is nearly.
    """

    def __init__(self, documents: Sequence[Mapping[str, int]]) -> None:
        self._lengths = [sum(document.values()) for document in documents]
        self._average = sum(self._lengths) / max(len(documents), 1) or 1.0
        self._postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, document in enumerate(documents):
            for term, count in document.items():
                self._postings[term].append((number, count))
        self._alike = _Alike(term for term in self._postings if not term.endswith("…"))

    def best(self, text: str, limit: int) -> list[int]:
        """The numbers of at most `limit` documents, best first; none that share no word with the text."""
        scores: dict[int, float] = defaultdict(float)
        for term, weight in self._query(text).items():
            self._add_scores(term, weight, scores)
        return sorted(scores, key=lambda number: (-scores[number], number))[:limit]

    def _query(self, text: str) -> Mapping[str, float]:
        """The terms that the text is looked up by, with their weights."""
        words = set(terms(text))
        meant = meanings(words)
        query: dict[str, float] = {}
        for word in words:
            known = word in self._postings
            english = [(other, _KNOWN_TOO if known else _MEANT) for other in meant.get(word, ())]
            near = [] if known or english else self._alike.to(word)
            for other, weight in ((word, 1.0), *english, *near):
                for term, share in _forms(other):
                    query[term] = max(weight * share, query.get(term, 0.0))
        return query

    def _add_scores(self, term: str, weight: float, scores: dict[int, float]) -> None:
        postings = self._postings.get(term, [])
        rarity = math.log(1 + (len(self._lengths) - len(postings) + 0.5) / (len(postings) + 0.5))
        for number, count in postings:
            length = 1 - _B + _B * self._lengths[number] / self._average
            scores[number] += weight * rarity * count * (_K1 + 1) / (count + _K1 * length)


class _Alike:
    """Finds the known words that a misspelt one is nearly, by the pairs of letters they share."""

    def __init__(self, words: Iterable[str]) -> None:
        self._pairs: dict[str, int] = {}
        self._words: dict[str, list[str]] = defaultdict(list)
        for word in words:
            pairs = _pairs(word)
            self._pairs[word] = len(pairs)
            for pair in pairs:
                self._words[pair].append(word)

    def to(self, word: str) -> list[tuple[str, float]]:
        """The words most like it, with how much: 1 is the same."""
        if len(word) < _FUZZY_LETTERS:
            return []
        pairs = _pairs(word)
        shared = Counter(other for pair in pairs for other in self._words.get(pair, ()))
        alike = [(other, 2 * count / (len(pairs) + self._pairs[other])) for other, count in shared.items()]
        return sorted((pair for pair in alike if pair[1] >= _FUZZY_ALIKE), key=lambda pair: -pair[1])[:3]


def document_of(text: str) -> Counter[str]:
    """The terms of a text, for `Index`."""
    counts: Counter[str] = Counter()
    for word in terms(text):
        counts.update({term: 1 for term, _ in _forms(word)})
    return counts


def _document(repository: Repository) -> Counter[str]:
    counts: Counter[str] = Counter()
    names = terms(" ".join((repository.slug, *repository.aliases, *repository.keywords)))
    for words, times in ((names, _NAME_WEIGHT), (terms(repository.description), 1)):
        for word in words:
            counts.update({term: times for term, _ in _forms(word)})
    counts.update(terms(" ".join(repository.languages)))
    return counts


def _forms(word: str) -> tuple[tuple[str, float], ...]:
    """The word, and what its other forms have in common with it, near enough, with what that weighs:
    `refunded` and `refunds` are both `refun…`."""
    stem = word.removesuffix("s")
    return (word, 1.0), *((f"{stem[:letters]}…", weight) for letters, weight in _CUTS)


def _pairs(word: str) -> set[str]:
    edged = f"^{word}$"
    return {edged[i : i + 2] for i in range(len(edged) - 1)}
