"""What is logged of a turn that cannot go on: a line for what was to be expected, all there is otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sandbox.broker.rights import NotPermitted
from sandbox.forge.protocol import ForgeUnavailable
from session.view import SessionView
from tests.sandbox.hooked_forge import HookedForge, fails
from tests.sandbox.household import household


async def logged(tmp_path: Path, error: Exception) -> tuple[SessionView, list[Mapping[str, object]]]:
    """What became of a turn that met the error, and what was logged above information."""
    async with household(forge=HookedForge(tmp_path, permission=fails(error))) as house:
        session_id = await house.opened()
        with capture_logs() as lines:
            view = await house.run(session_id)
    return view, [line for line in lines if line["log_level"] != "info"]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ForgeUnavailable("The forge cannot be reached."), "paused"),
        (NotPermitted("Ada may not.", "Ask somebody who may."), "failed"),
    ],
)
async def test_what_was_to_be_expected_is_one_line(tmp_path: Path, error: Exception, state: str) -> None:
    view, lines = await logged(tmp_path, error)
    assert view.state == state
    (line,) = [line for line in lines if line.get("session_id") == view.id]
    assert (line["log_level"], line["reason"]) == ("warning", str(error))
    assert "exc_info" not in line


async def test_what_nobody_expects_is_logged_with_where_it_came_up(tmp_path: Path) -> None:
    view, lines = await logged(tmp_path, KeyError("a defect"))
    assert view.failure is not None
    assert "KeyError" in view.failure.cause
    (line,) = [line for line in lines if line.get("session_id") == view.id]
    assert (line["log_level"], line["exc_info"]) == ("error", True)
