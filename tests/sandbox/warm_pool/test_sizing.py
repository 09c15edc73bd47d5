"""How many boxes wait: those somebody is about to want, those the catalogue names, then the busiest."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sandbox.warm_pool.sizing import wanted
from session.catalogue import Repository


def repositories(**warm: int | None) -> list[Repository]:
    return [
        Repository(slug=f"acme/{name}", forge="local", url="/srv", warm=number)
        for name, number in warm.items()
    ]


@pytest.mark.parametrize(
    ("warm", "demand", "hinted", "most", "told"),
    [
        ({"a": None}, {}, (), 4, {}),
        ({"a": None}, {"a": 1}, (), 4, {"a": 1}),
        ({"a": None}, {"a": 12}, (), 9, {"a": 3}),
        ({"a": None}, {"a": 90}, (), 2, {"a": 2}),
        ({"a": None}, {}, ("a",), 4, {"a": 1}),
        ({"a": 2, "b": None}, {"b": 50}, (), 3, {"a": 2, "b": 1}),
        ({"a": 0, "b": 3}, {"a": 50}, ("a",), 9, {"b": 3}),
        ({"a": 3, "b": None, "c": None}, {"b": 1, "c": 7}, (), 2, {"a": 1, "c": 1}),
        ({"a": 3, "b": None, "c": None}, {"c": 7}, ("b",), 2, {"a": 1, "b": 1}),
        ({"a": None}, {"a": 3, "gone": 30}, ("gone",), 2, {"a": 1}),
        ({"a": 4}, {"a": 9}, ("a",), 0, {}),
    ],
)
def test_boxes_go_to_whoever_is_likeliest_to_want_them(
    warm: Mapping[str, int | None],
    demand: Mapping[str, int],
    hinted: tuple[str, ...],
    most: int,
    told: Mapping[str, int],
) -> None:
    found = wanted(
        repositories(**warm),
        {f"acme/{name}": number for name, number in demand.items()},
        [f"acme/{name}" for name in hinted],
        most,
    )
    assert found == {f"acme/{name}": number for name, number in told.items()}
