"""The order in which a repository is decided: what is certain first, the model last, and then the person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from classifier.fast_model import FastModel, NoOpinion, Opinion
from classifier.mentions import named_in_vain, named_outright
from classifier.prefilter import Index, Prefilter, document_of
from classifier.request import Classification, RoutingRequest
from classifier.rules import matches
from session.catalogue import Catalogue, Repository, UnknownRepository
from session.events import Candidate
from session.picks import Pick

CONFIDENT = 0.7
"""Below this the person is asked: a wrong repository costs more than a question."""

SEVERAL = "This seems to be about several repositories, and a session works in one: pick where I begin."

MOST_CANDIDATES = 20
"""So many repositories at most are described in the model's prompt."""

MOST_OTHERS = 200
"""So many more at most are named there: no words have to agree for the model to know a name's meaning."""

MOST_ASKED = 5
"""So many likely repositories at most stand in the question to a person."""

MOST_EXAMPLES = 4
"""So many earlier picks at most stand in the model's prompt."""


class Classifier:
    """Decides which repository of the catalogue a request is about."""

    def __init__(self, catalogue: Catalogue, fast_model: FastModel) -> None:
        self._catalogue = catalogue
        self._fast_model = fast_model
        self._active = catalogue.active
        self._prefilter = Prefilter(self._active)

    async def classify(self, request: RoutingRequest) -> Classification:
        """The repository, or the question to ask; it always answers, also when the model does not."""
        decided = self.without_model(request)
        if decided is not None:
            return decided
        return await self._by_model(request)

    def without_model(self, request: RoutingRequest) -> Classification | None:
        """What is certain, or certainly has to be asked; None where the fast model has to judge."""
        if not self._active:
            return Classification(None, None, "no repository is set up yet")
        if request.named is not None:
            return self._by_name(request.named)
        outright = named_outright(request.text, self._active)
        if len(outright) == 1:
            return Classification(outright[0].slug, "named", "you named it")
        if len(outright) > 1:
            return _ask("you named more than one repository", outright, together=True)
        useless = self._named_in_vain(request.text)
        if useless is not None:
            return self._by_name(useless)
        if request.thread_repository in {r.slug for r in self._active}:
            return Classification(request.thread_repository, "thread", "this thread worked in it before")
        return self._by_rule(request) or self._only()

    def _by_name(self, name: str) -> Classification:
        try:
            repository = self._catalogue.get(name)
        except UnknownRepository as error:
            return _ask(str(error), self._prefilter.best(name, 5))
        if repository.archived:
            return _ask(f"{repository.slug} is archived and takes no work", self._prefilter.best(name, 5))
        return Classification(repository.slug, "named", "you named it")

    def _named_in_vain(self, text: str) -> str | None:
        """The repository that the text names although no work can be done in it: archived, or not known."""
        archived = named_outright(text, [r for r in self._catalogue.repositories if r.archived])
        return archived[0].slug if archived else named_in_vain(text, self._catalogue.repositories)

    def _by_rule(self, request: RoutingRequest) -> Classification | None:
        found = matches(request, self._active)
        if len(found) == 1:
            repository, rule = found[0]
            return Classification(repository.slug, "rule", rule)
        if found:
            return _ask("more than one rule fits", [repository for repository, _ in found])
        return None

    def _only(self) -> Classification | None:
        if len(self._active) == 1:
            return Classification(self._active[0].slug, "only", "it is the only repository")
        return None

    async def _by_model(self, request: RoutingRequest) -> Classification:
        candidates = self.candidates(request)
        examples = self.examples(request)
        request = replace(request, picks=examples)
        described = {repository.slug for repository in candidates}
        others = [r.slug for r in self._active if r.slug not in described][:MOST_OTHERS]
        try:
            opinion = await self._fast_model.opinion(request, candidates, others)
        except NoOpinion as error:
            return replace(_ask(str(error), candidates), examples=examples)
        by_slug = {repository.slug: repository for repository in self._active}
        return replace(_from_opinion(opinion, by_slug, candidates), examples=examples)

    def examples(self, request: RoutingRequest) -> tuple[Pick, ...]:
        """The earlier picks that are most like the request; of repositories that there still are."""
        active = {repository.slug for repository in self._active}
        usable = [pick for pick in request.picks if pick.slug in active]
        index = Index([document_of(pick.words) for pick in usable])
        return tuple(usable[number] for number in index.best(request.text, MOST_EXAMPLES))

    def candidates(self, request: RoutingRequest) -> Sequence[Repository]:
        """Those that the fast model would be shown, most likely first."""
        if len(self._active) <= MOST_CANDIDATES:
            return self._active
        words = " ".join(
            (
                request.text,
                *(line.text for line in request.context),
                request.channel_name,
                request.channel_topic,
            )
        )
        recent = [r for r in self._active if r.slug in request.recent]
        picked = {pick.slug for pick in self.examples(request)}
        shown = [r for r in self._active if r.slug in picked]
        best = self._prefilter.best(words, MOST_CANDIDATES)
        return tuple(dict.fromkeys((*recent[:3], *shown, *best)))[:MOST_CANDIDATES]


def _from_opinion(
    opinion: Opinion, by_slug: dict[str, Repository], candidates: Sequence[Repository]
) -> Classification:
    others = [by_slug[slug] for slug in opinion.alternatives]
    if opinion.kind == "several":
        return _ask(f"{SEVERAL} {opinion.reason}", others or candidates, together=bool(others))
    if opinion.kind == "unknown" or opinion.repository is None:
        return _ask(opinion.reason, others or candidates)
    chosen = by_slug[opinion.repository]
    if opinion.confidence < CONFIDENT:
        return _ask(opinion.reason, (chosen, *others), opinion.confidence)
    return Classification(
        chosen.slug, "model", opinion.reason, opinion.confidence, tuple(_candidate(r) for r in others)
    )


def _ask(
    reason: str, repositories: Sequence[Repository], confidence: float = 0.0, *, together: bool = False
) -> Classification:
    """The question with the likely ones; more than it can show are not offered together."""
    distinct = tuple({repository.slug: _candidate(repository) for repository in repositories}.values())
    shown = distinct[:MOST_ASKED]
    together = together and 1 < len(distinct) <= MOST_ASKED
    return Classification(None, None, reason, confidence, shown, together=together)


def _candidate(repository: Repository) -> Candidate:
    return Candidate(slug=repository.slug, description=repository.description)
