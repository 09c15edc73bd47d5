"""Why a box is lost whose connection has ended."""

from __future__ import annotations

import asyncio

from sandbox.environments.protocol import EnvironmentUnavailable, Sandbox, SandboxFailed

LOOKS = 40
LOOK_SECONDS = 0.05
"""An engine may hear of a box's end so much later than whoever was connected with the box."""


async def why_lost(box: Sandbox) -> str:
    """The cause in a few words, as its engine knows it."""
    try:
        for _ in range(LOOKS):
            if (cause := await box.cause_of_death()) is not None:
                return cause
            await asyncio.sleep(LOOK_SECONDS)
    except (EnvironmentUnavailable, SandboxFailed):
        # Whether it runs, and what is left of it, is seen when its engine is back.
        return "its engine does not answer either"
    return "it stopped answering"
