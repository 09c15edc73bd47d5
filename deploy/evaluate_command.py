"""`bellhop evaluate`: how well repositories are found, over labelled cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from classifier.decision import Classifier
from classifier.evaluate import BUILT_IN, Verdict, evaluate, load_cases, recall, rows
from classifier.fast_model import FastModel
from deploy.work import fast_model
from sandbox.agent.model import Usage
from sandbox.agent.model_catalogue import load_models
from session.catalogue import Catalogue
from session.settings import Settings


async def evaluate_cases(settings: Settings, cases: Path | None, *, offline: bool) -> int:
    """Prints what came of the cases (None: those that Bellhop brings, with their own catalogue); 1 when one
    that needs no model went wrong.

    Raises: CasesError, CatalogueError, SettingsError.
    """
    given = load_cases(cases or BUILT_IN / "cases.yaml")
    catalogue = Catalogue.load(settings.repositories_file if cases else BUILT_IN / "repositories.yaml")
    async with fast_model(settings, needed=not offline) as model:
        running = evaluate(Classifier(catalogue, model), given, offline=offline)
        verdicts = [verdict async for verdict in running]
    console = Console()
    _show(console, verdicts, len(catalogue.active))
    if not offline:
        console.print(_cost(settings.classifier_model, model, len(verdicts)))
    strays = [
        verdict for verdict in verdicts if verdict.step != verdict.case.step or verdict.grade == "wrong"
    ]
    for verdict in strays:
        console.print(_line(verdict), markup=False)
    return 1 if any(verdict.step != "model" for verdict in strays) else 0


def _show(console: Console, verdicts: Sequence[Verdict], repositories: int) -> None:
    table = Table("decided by", "cases", "right", "asked", "wrong and sure", "left open")
    for row in rows(verdicts):
        table.add_row(row.step, *map(str, (row.cases, row.right, row.asked, row.wrong, row.open)))
    console.print(table)
    seconds = sorted(verdict.prefilter_seconds for verdict in verdicts if verdict.step == "model")
    median = seconds[len(seconds) // 2] * 1000 if seconds else 0.0
    console.print(
        f"{len(verdicts)} cases over {repositories} repositories. The model is shown the right one in "
        f"{recall(verdicts):.1%} of the cases left to it, chosen in {median:.1f} ms (median)."
    )


def _cost(name: str, model: FastModel, cases: int) -> str:
    usage = Usage(model.input_tokens, 0, model.output_tokens)
    price = load_models().spec(name).price(usage)
    dollars = "at a price that is not known" if price is None else f"for {price:.4f} US dollars"
    return (
        f"{name} used {model.input_tokens} tokens of input and {model.output_tokens} of output over {cases} "
        f"cases, {dollars}."
    )


def _line(verdict: Verdict) -> str:
    case, decision = verdict.case, verdict.decision
    got = decision.slug if decision and decision.slug else "asks"
    wanted = " and ".join(case.wanted) or "to ask"
    return f"- {case.text!r}: {got} by {verdict.step}; wanted {wanted} by {case.step}"
