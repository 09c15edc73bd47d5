"""When an image is due, what it is built on, and how much of a log is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sandbox.images.build_log import HEAD_CHARACTERS, TAIL_CHARACTERS, BuildLog
from sandbox.images.plan import MOST_LAYERS, RETRY_AFTER, WHOLE_EVERY, due, start_from
from session.image_builds import ImageBuild, Made, State


def test_what_is_due_and_what_it_is_built_on() -> None:
    now = datetime(2026, 7, 12, 12, tzinfo=UTC)
    made = Made("acme/billing", "here", "b" * 40, "22222222", "recipe", "base")

    def build(
        state: State,
        sha: str = "a" * 40,
        hours: float = 1,
        layers: int = 1,
        recipe: str = "recipe",
        *,
        passing: bool = False,
    ) -> ImageBuild:
        at = now - timedelta(hours=hours)
        own = Made("acme/billing", "here", sha, "22222222", recipe, "base")
        return ImageBuild("id", own, state, "image", layers, 1, "", passing, at, at, at)

    there = ["image"]
    assert due(made, [], there, now)
    assert due(made, [build("ready")], there, now)
    assert not due(made, [build("ready", "b" * 40)], there, now)
    assert due(made, [build("ready", "b" * 40)], [], now), "somebody took it out of the engine"
    assert not due(made, [build("failed", "b" * 40), build("ready")], there, now)
    assert due(made, [build("failed", "b" * 40, hours=RETRY_AFTER / timedelta(hours=1))], there, now)
    assert due(made, [build("failed", "b" * 40, passing=True), build("ready")], there, now)
    assert start_from(made, [build("failed"), build("ready")], there, now) is not None
    assert start_from(made, [build("ready")], [], now) is None
    assert start_from(made, [build("ready", recipe="another")], there, now) is None
    assert start_from(made, [build("ready", hours=WHOLE_EVERY / timedelta(hours=1))], there, now) is None
    assert start_from(made, [build("ready", layers=MOST_LAYERS)], there, now) is None


def test_another_host_s_image_counts_while_it_can_be_had() -> None:
    now = datetime(2026, 7, 12, 12, tzinfo=UTC)
    made = Made("acme/billing", "here", "b" * 40, "22222222", "recipe", "own base")

    def foreign(
        minutes: float, shared: str = "", *, state: State = "ready", copy: bool = False
    ) -> ImageBuild:
        at = now - timedelta(minutes=minutes)
        other = Made("acme/billing", "here" if copy else "there", "b" * 40, "33333333", "recipe", "its base")
        name = "copy-1" if copy else "id"
        return ImageBuild(name, other, state, "image", 1, 1, "", False, at, at, at, shared)

    shared = "registry.internal/bellhop/images@sha256:1"
    assert not due(made, [foreign(60, shared)], [], now)
    assert not due(made, [foreign(1)], [], now), "it is on its way to the registry"
    assert due(made, [foreign(60)], [], now), "it never came there"
    assert due(made, [foreign(25 * 60, shared)], [], now), "from another base, it is taken for a day"
    assert not due(made, [foreign(60, shared, copy=True)], ["image"], now)
    assert not due(made, [foreign(60, state="failed")], [], now), "it would fail here too"
    assert start_from(made, [foreign(60, shared)], ["image"], now) is None, "that one lies elsewhere"


def test_a_log_keeps_its_beginning_and_its_end() -> None:
    log = BuildLog()
    log.line("first")
    for _ in range(6):
        log.add("x" * TAIL_CHARACTERS)
    log.line("last")
    assert log.text.startswith("first\n")
    assert log.text.endswith("last\n")
    assert len(log.text) < HEAD_CHARACTERS + TAIL_CHARACTERS + 60
    assert "characters left out" in log.text
