"""The prefilter over the imagined shop among a thousand repositories: what it finds, and how fast."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator

from openai import AsyncOpenAI

from classifier.decision import Classifier
from classifier.evaluate import BUILT_IN, evaluate, load_cases, recall
from classifier.fast_model import FastModel
from session.catalogue import Catalogue, Repository
from tests.benchmarks.report import Report

REPOSITORIES = 1_000
_SUBJECTS = (
    "turbine orchard glacier tractor harbour violin satellite quarry lantern meadow compass granite falcon "
    "beacon cedar delta ember fjord grove hazel indigo juniper kelp lagoon maple nectar opal prairie quartz "
    "reef saffron tundra umber vale willow yarrow zephyr"
)
_KINDS = (
    "api worker frontend gateway importer dashboard service portal bot engine app cli sdk pipeline templates "
    "index docs infra tests console tools images site flags accounts cache"
)
_WORDS = (
    "records sync users prices orders search mail reports charts login tokens pages events labels stock "
    "payments forms alerts batch queue export import audit metrics models rules tags files uploads"
)


async def run(report: Report) -> None:
    """The built-in cases, offline, over 48 repositories and over 1,000."""
    shop, cases = Catalogue.load(BUILT_IN / "repositories.yaml"), load_cases(BUILT_IN / "cases.yaml")
    for catalogue in (shop, Catalogue([*shop.repositories, *_others(REPOSITORIES - len(shop.active))])):
        began = time.perf_counter()
        async with AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key="never asked") as nobody:
            classifier = Classifier(catalogue, FastModel(nobody, "none"))
            built = time.perf_counter() - began
            verdicts = [verdict async for verdict in evaluate(classifier, cases, offline=True)]
        among = f"among {len(catalogue.active)}"
        certain = [verdict for verdict in verdicts if verdict.step != "model"]
        wrong = [verdict for verdict in certain if verdict.grade != "right"]
        times = sorted(verdict.prefilter_seconds * 1000 for verdict in verdicts if verdict.step == "model")
        report.add(f"cases decided without a model, {among}", len(certain), "cases")
        report.add(f"of these not right, {among}", len(wrong), "cases", at_most=0)
        report.add(f"recall of the prefilter at 20, {among}", recall(verdicts), "of 1", at_least=0.99)
        report.add(f"prefilter, p50, {among}", times[len(times) // 2], "ms")
        report.add(f"prefilter, p95, {among}", times[int(len(times) * 0.95)], "ms", at_most=5)
        report.add(f"index built, {among}", built * 1000, "ms")


def _others(number: int) -> Iterator[Repository]:
    """Repositories of another trade, described with the same words of the craft."""
    chosen = random.Random(7)
    names = itertools.product(_SUBJECTS.split(), _KINDS.split())
    for subject, kind in itertools.islice(names, number):
        first, second, third = chosen.sample(_WORDS.split(), 3)
        yield Repository(
            slug=f"orchard/{subject}-{kind}",
            forge="local",
            url="/srv/none.git",
            description=f"the {kind} of {subject}: {first}, {second} and {third}",
        )
