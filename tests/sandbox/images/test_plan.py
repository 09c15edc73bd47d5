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
