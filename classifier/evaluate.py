"""Measures the classifier on labelled cases: how often it is right, asks, or is wrong and sure of itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import TypeAdapter, ValidationError

from classifier.decision import Classifier
from classifier.request import Classification, RoutingRequest
from session.people import Declared, ThreadLine

BUILT_IN = Path(__file__).with_name("evaluation")
"""`repositories.yaml` and `cases.yaml` of an imagined shop."""

UNKNOWN = "unknown"
Step = Literal["named", "thread", "rule", "only", "model", "ask"]
Grade = Literal["right", "asked", "wrong", "open"]


class CasesError(Exception):
    """The file of cases cannot be used; the message says why and what to do."""


class Case(Declared):
    """A request and what it is about. `expect` is a slug, several, or "unknown" where asking is right; `step`
    what decides, "ask" where the person is asked without the model. `kind` groups cases in the report."""

    kind: str
    text: str
    expect: str | tuple[str, ...]
    step: Step = "model"
    named: str | None = None
    context: tuple[tuple[str, str], ...] = ()
    channel: str = ""
    topic: str = ""
    thread_repository: str | None = None
    recent: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[str, ...]:
        """The repositories that are meant; none where nobody could tell."""
        expected = (self.expect,) if isinstance(self.expect, str) else self.expect
        return tuple(slug for slug in expected if slug != UNKNOWN)

    @property
    def request(self) -> RoutingRequest:
        """What routing would know of it."""
        return RoutingRequest(
            text=self.text,
            named=self.named,
            context=tuple(ThreadLine(author=author, text=text) for author, text in self.context),
            channel_name=self.channel,
            channel_topic=self.topic,
            thread_repository=self.thread_repository,
            recent=self.recent,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one case went. `step` decided it. `grade` is "open" where the model was not asked; `found` how many
    of the wanted repositories the model was, or would have been, shown in full, in `prefilter_seconds`."""

    case: Case
    step: Step
    grade: Grade
    decision: Classification | None
    found: int = 0
    prefilter_seconds: float = 0.0


def load_cases(path: Path) -> tuple[Case, ...]:
    """The cases of that file. Raises: CasesError."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return TypeAdapter(tuple[Case, ...]).validate_python(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CasesError(f"{path} cannot be read as YAML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        number, *field = first["loc"] or (0,)
        place = ".".join(map(str, field)) or "as a whole"
        raise CasesError(
            f"{path}: case {int(number) + 1}, {place}: {first['msg']}. A case looks like "
            "{kind: plain, text: the invoice is off by a cent, expect: acme/billing}"
        ) from error


async def evaluate(classifier: Classifier, cases: Iterable[Case], *, offline: bool) -> AsyncIterator[Verdict]:
    """How each case goes; `offline` leaves those open that the model would decide."""
    for case in cases:
        certain = classifier.without_model(case.request)
        if certain is not None:
            yield Verdict(case, certain.how or "ask", _grade(case, certain), certain)
            continue
        began = time.perf_counter()
        shown = {repository.slug for repository in classifier.candidates(case.request)}
        seconds = time.perf_counter() - began
        decision = None if offline else await classifier.classify(case.request)
        grade = "open" if decision is None else _grade(case, decision)
        yield Verdict(case, "model", grade, decision, len(shown.intersection(case.wanted)), seconds)


@dataclass(frozen=True, slots=True)
class Row:
    """One step's cases, counted by their grades."""

    step: Step
    cases: int
    right: int
    asked: int
    wrong: int
    open: int


def rows(verdicts: Sequence[Verdict]) -> list[Row]:
    """A row for each step that decided something, in the order of decision."""
    made = []
    for step in ("named", "thread", "rule", "only", "ask", "model"):
        grades = Counter(verdict.grade for verdict in verdicts if verdict.step == step)
        if grades:
            each = (grades["right"], grades["asked"], grades["wrong"], grades["open"])
            made.append(Row(step, sum(each), *each))
    return made


def recall(verdicts: Sequence[Verdict]) -> float:
    """The part of the wanted repositories that the model was shown in full, over the cases left to it."""
    left = [verdict for verdict in verdicts if verdict.step == "model"]
    wanted = sum(len(verdict.case.wanted) for verdict in left)
    return sum(verdict.found for verdict in left) / wanted if wanted else 1.0


def _grade(case: Case, decision: Classification) -> Grade:
    if decision.slug is not None:
        return "right" if case.wanted == (decision.slug,) else "wrong"
    if len(case.wanted) == 1:
        return "asked"
    offered = {candidate.slug for candidate in decision.alternatives}
    return "right" if offered.issuperset(case.wanted) else "asked"
