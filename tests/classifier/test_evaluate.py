"""The labelled cases: what needs no model is right in all of them, and the rest is counted as it went."""

from __future__ import annotations

from pathlib import Path

import pytest
from openai import AsyncOpenAI

from classifier.decision import Classifier
from classifier.evaluate import BUILT_IN, Case, CasesError, Verdict, evaluate, load_cases, recall, rows
from classifier.fast_model import FastModel
from session.catalogue import Catalogue
from tests.classifier.conftest import MODEL, Replies


@pytest.fixture
def shop(client: AsyncOpenAI) -> Classifier:
    """The classifier over the imagined shop that Bellhop is measured with."""
    return Classifier(
        Catalogue.load(BUILT_IN / "repositories.yaml"), FastModel(client, MODEL, timeout_seconds=60)
    )


async def test_what_needs_no_model_is_right_and_the_model_sees_the_right_one(
    shop: Classifier, replies: Replies
) -> None:
    cases = load_cases(BUILT_IN / "cases.yaml")
    assert len(cases) >= 120
    verdicts = [verdict async for verdict in evaluate(shop, cases, offline=True)]
    assert [verdict for verdict in verdicts if verdict.step != verdict.case.step] == []
    assert {verdict.grade for verdict in verdicts if verdict.step != "model"} == {"right"}
    assert recall(verdicts) >= 0.99
    assert replies.requests == []


async def test_each_answer_of_the_model_is_graded(classifier: Classifier, replies: Replies) -> None:
    replies.says(repository="acme/billing")
    replies.says(repository="acme/billing")
    replies.says(repository="acme/billing", confidence=0.2)
    replies.says(kind="several", alternatives=["acme/billing", "acme/web"])
    replies.says(kind="unknown")
    meant = ("acme/billing", "acme/notify", "acme/billing", ("acme/web", "acme/billing"), "unknown")
    cases = [Case(kind="plain", text="off by a cent", expect=expect) for expect in meant]
    verdicts = [verdict async for verdict in evaluate(classifier, cases, offline=False)]
    assert [verdict.grade for verdict in verdicts] == ["right", "wrong", "asked", "right", "right"]
    [row] = rows(verdicts)
    assert (row.step, row.cases, row.right, row.asked, row.wrong, row.open) == ("model", 5, 3, 1, 1, 0)


def test_recall_counts_every_repository_that_is_meant() -> None:
    both = Case(kind="several", text="both", expect=("acme/web", "acme/billing"))
    assert recall([Verdict(both, "model", "open", None, found=1)]) == 0.5
    assert recall([]) == 1.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- {kind: plain, text: hello}", "case 1, expect: Field required. A case looks like"),
        (
            "- {kind: plain, text: a, expect: b/c}\n- {kind: plain, text: a, expect: b/c, why: d}",
            "case 2, why",
        ),
        ("hello", "as a whole"),
        ("- {", "cannot be read as YAML"),
    ],
)
def test_a_file_that_is_wrong_is_told_where(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "cases.yaml"
    path.write_text(text)
    with pytest.raises(CasesError, match=says):
        load_cases(path)
    with pytest.raises(CasesError, match=r"nowhere\.yaml cannot be read"):
        load_cases(tmp_path / "nowhere.yaml")
