"""The prefilter keeps the right repository among the few that the model sees."""

from __future__ import annotations

import pytest

from classifier.lexicon import meanings, plain
from classifier.prefilter import Prefilter, terms
from tests.classifier.conftest import repository

_SUBJECTS = ("invoice", "search", "login", "shipping", "warehouse", "newsletter", "payment", "report", "chat")
_KINDS = ("api", "worker", "frontend", "gateway", "importer", "dashboard")
MANY = tuple(
    repository(f"acme/{subject}-{kind}", description=f"the {kind} for {subject}s")
    for subject in _SUBJECTS
    for kind in _KINDS
)


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("the warehouse importer is slow", "acme/warehouse-importer"),
        ("LoginGateway returns 500", "acme/login-gateway"),
        ("the shiping dashbord shows nothing", "acme/shipping-dashboard"),
        ("report_worker crashes at night", "acme/report-worker"),
        ("importing of warehouses", "acme/warehouse-importer"),
        ("Die Rechnung im Frontend", "acme/invoice-frontend"),
        ("le worker de recherche", "acme/search-worker"),
        ("El panel de envíos no carga", "acme/shipping-api"),
    ],
)
def test_the_right_one_is_among_the_best(text: str, slug: str) -> None:
    assert slug in [r.slug for r in Prefilter(MANY).best(text, 6)]


def test_common_repositories_fill_up_what_is_left() -> None:
    common = repository("acme/monolith", common=True)
    assert Prefilter((*MANY, common)).best("xyzzy") == (common,)
    assert len(Prefilter((*MANY, common)).best("the invoice api worker gateway", 20)) == 20


def test_words_are_parted_and_empty_ones_left_out() -> None:
    assert terms("LoginGateway report_worker a.b") == ["login", "gateway", "report", "worker", "b"]
    assert terms("Please fix the Prüfung") == ["fix", "prufung"]


def test_a_short_beginning_is_a_whole_word_and_a_long_one_may_stand_inside() -> None:
    assert plain("Größe ÉTÉ") == "grosse ete"
    assert meanings(["bon", "bonus"]) == {"bon": {"voucher"}}
    assert meanings(["gesamtrechnungsbetrag"]) == {"gesamtrechnungsbetrag": {"invoice"}}
