"""What the model does in the journeys: steps that really mend the sample repository."""

from __future__ import annotations

from tests.emulators.model.turns import together, tool

LOOK = tool("bash", command="python3 -m unittest 2>&1 | tail -3")

FIX = together(
    tool(
        "edit_file",
        path="billing/money.py",
        old_string="from decimal import Decimal",
        new_string="from decimal import ROUND_HALF_UP, Decimal",
    ),
    tool(
        "edit_file",
        path="billing/money.py",
        old_string="amount.quantize(CENT)",
        new_string="amount.quantize(CENT, rounding=ROUND_HALF_UP)",
    ),
    text="Half a cent is rounded to even; finance rounds it up.",
)

PROPOSE = tool(
    "open_pull_request", title="Round half a cent up", body="Finance rounds half a cent up.", draft=False
)

FINISH = tool("finish", summary="Half a cent is now rounded up.", evidence="python3 -m unittest: all pass")

NOTE = tool("write_file", path="NOTES.md", content="Half a cent is rounded up.\n")

WHOLE = (LOOK, FIX, PROPOSE, FINISH)
"""From the failing test to the answer, with a pause for the approval."""
