"""Work that brokers keep for those of other hosts: there for a while, and then honestly gone."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

from bot.sentences import sandbox
from sandbox.agent.transcript import LET_GO
from sandbox.box_work import CHECKPOINT_REF, HEAD_REF
from sandbox.broker.letting_go import LettingGo
from sandbox.broker.quarantines import Quarantines
from sandbox.preparation import NOT_KEPT
from session import events as e
from session.saved_work import SavedWork
from tests.emulators.model.turns import tool
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.test_jobs import FINISH
from tests.session.room import eventually

KEPT = timedelta(days=30)
WORK = tool("bash", command="echo mine >notes.md")
LOOK = tool("bash", command="cat notes.md || true")


async def looked(house: Household, session_id: str) -> tuple[str, e.SandboxReady]:
    """What a follow-up there finds of the work, and what is said of its box."""
    house.model.script(MODEL, LOOK, FINISH)
    await house.prompt(session_id, "What is there?")
    view = await house.run(session_id)
    assert view.sandbox is not None
    return house.model.requests_to(MODEL)[-1].said_by("tool")[-1].text, view.sandbox


async def quiet(house: Household, session_id: str) -> None:
    """The session has been quiet for that long, and the broker has looked."""
    old = await house.database.clock() - KEPT
    await house.database.execute("UPDATE sessions SET updated_at = ? WHERE id = ?", old, session_id)
    for seconds, reference in enumerate((HEAD_REF, CHECKPOINT_REF)):
        # In the order in which a turn saves them.
        saved_at = old + timedelta(seconds=seconds)
        await house.database.execute(
            "UPDATE saved_work SET saved_at = ? WHERE reference = ?", saved_at, reference
        )
    assert await SavedWork(house.database).let_go(KEPT - timedelta(minutes=1)) == 2


async def cleared(house: Household, session_id: str) -> None:
    """The same, on a host whose broker then looks at its quarantines too."""
    old = await house.database.clock() - KEPT
    await house.database.execute("UPDATE sessions SET updated_at = ? WHERE id = ?", old, session_id)
    quarantine = house.home / "quarantine" / session_id
    os.utime(quarantine, (old.timestamp(), old.timestamp()))
    saved, kept = SavedWork(house.database), KEPT - timedelta(minutes=1)
    looking = asyncio.create_task(LettingGo(saved, Quarantines(quarantine.parent), kept).run())

    async def gone() -> bool:
        return not quarantine.exists()

    assert await eventually(gone)
    looking.cancel()
    await asyncio.wait({looking})


async def test_work_is_found_by_another_host_until_it_is_let_go_and_on_its_own_host_after_that() -> None:
    async with (
        household(verify=(), carries=True) as first,
        household(beside=first, carries=True) as second,
        household(beside=first, carries=True) as third,
    ):
        first.model.script(MODEL, WORK, FINISH)
        session_id = await first.opened()
        await first.run(session_id)
        found, ready = await looked(second, session_id)
        assert (found.strip(), ready.replaced, ready.let_go) == ("mine", True, False)

        # The first host still has what it took in itself, and what it saves now is kept again.
        await quiet(first, session_id)
        found, ready = await looked(first, session_id)
        assert (found.strip(), ready.replaced, ready.let_go) == ("mine", True, False)
        assert ready.restored.endswith(f"as this host last saved them; {NOT_KEPT}")
        assert await SavedWork(first.database).bundle(session_id, first.repository.slug, CHECKPOINT_REF)

        # The third never had any of it.
        await quiet(first, session_id)
        found, ready = await looked(third, session_id)
        assert ("mine" in found, ready.replaced, ready.restored, ready.let_go) == (False, True, "", True)
        assert "What was saved of the work is gone" in sandbox.replaced(ready, "")
        told = [part.text for part in third.model.requests_to(MODEL)[-1].said_by("user")]
        assert any(text.endswith(LET_GO) for text in told)


async def test_the_quarantine_goes_too_and_the_record_still_knows_that_there_was_work() -> None:
    async with household(verify=()) as house:
        house.model.script(MODEL, WORK, FINISH)
        session_id = await house.opened()
        await house.run(session_id)
        await cleared(house, session_id)
        # Where the box is still there, so is the work, and it is saved anew.
        found, ready = await looked(house, session_id)
        assert (found.strip(), ready.replaced, ready.let_go) == ("mine", False, False)
        for let_go in (False, True):
            if let_go:
                await cleared(house, session_id)
            [box] = await house.environment.list()
            await house.environment.remove(box.name)
            found, ready = await looked(house, session_id)
            assert ("mine" in found, ready.replaced, ready.let_go) == (not let_go, True, let_go)
        assert "What was saved of the work is gone" in sandbox.replaced(ready, "")
