"""A package really installed by the agent: through the door of a box, from where the box's own pip looks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from session import events as e
from tests.conftest import unavailable
from tests.emulators.model.turns import tool
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING
from tests.journeys.steps import FINISH
from tests.provision.package_indexes import addresses

INSTALL = "python3 -m venv /tmp/v && /tmp/v/bin/pip install --quiet --no-input six"
USE = "/tmp/v/bin/python -c 'import six; print(six.__name__)'"


def index_addresses() -> Sequence[str]:
    """Where the package index of this machine's pip is; leaves the test where there is none to be reached."""
    found = addresses("python")
    if not found:
        unavailable("python", "the package index of this machine cannot be reached from it")
    return found


async def test_the_agent_installs_a_package(open_house: OpenHouse) -> None:
    # A company's mirror may well have a private address.
    settings = {"EGRESS_NETWORKS": ",".join(await asyncio.to_thread(index_addresses))}
    async with open_house(settings=settings, repositories={BILLING: {"egress": ["python"]}}) as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, tool("bash", command=INSTALL), tool("bash", command=USE), FINISH)
        thread = await ada.asks("try it with six")
        await thread.hears("Half a cent is now rounded up.", 100)
        installed, used = [r for r in await thread.events(e.ToolReturned) if r.tool == "bash"]
        assert installed.status == "ok", installed.output
        assert used.output == "six"
        session_id = await thread.session()
        rows = await house.core.audit.page(None, 100, session_id, "egress")
        assert {row.entry.outcome for row in rows} == {"allowed"}
        await thread.holds_only("card", "answer")
