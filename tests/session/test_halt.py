"""The kill switch: what is at work is stopped and told, what waits goes on waiting, and nothing is failed."""

from __future__ import annotations

import pytest

from session import events as e
from session.audit import Audit
from session.halt import Halted, KillSwitch
from session.people import Person
from session.standstill import Standstill
from tests.session.people import prompt
from tests.session.room import Room, turn_id
from tests.session.test_reconciler import flush


@pytest.fixture
def switch(room: Room) -> KillSwitch:
    """The switch of the room."""
    return KillSwitch(room.database)


@pytest.fixture
def standstill(room: Room) -> Standstill:
    """What the admins' page has."""
    return Standstill(room.database, Audit(room.database), room.commands, "web")


async def test_work_may_go_on_until_somebody_stops_it(switch: KillSwitch, ada: Person, grace: Person) -> None:
    await switch.check()
    await switch.engage(ada, "a key leaked.")
    await switch.engage(grace, "")
    with pytest.raises(Halted, match=r"Ada has stopped all work: a key leaked\. An admin can switch it on"):
        await switch.check()
    assert await switch.halted()
    assert await switch.release(grace)
    assert not await switch.release(grace)
    assert await switch.halt() is None


async def test_every_open_turn_is_stopped_and_what_waits_in_line_is_kept(
    room: Room, standstill: Standstill, ada: Person, grace: Person
) -> None:
    alone, worked_on, asking = [await room.running(ada) for _ in range(3)]
    assert await room.leases.acquire(worked_on.id, "worker") is not None
    approval = await room.ask(asking.id)
    waiting, routing, done = await room.queued(ada), await room.opened(ada), await room.running(ada)
    await room.finish(done.id)
    await room.commands.add_prompt(alone.id, prompt(ada, "and this"))

    assert await standstill.stop(grace, "a key leaked") == 3

    async def last(session_id: str) -> e.Event:
        return (await room.log.read(session_id))[-1].event

    why = "a key leaked"
    assert await last(alone.id) == e.SessionStopped(turn_id=turn_id(alone), by=grace, halt=why)
    assert await last(worked_on.id) == e.StopRequested(by=grace, halt=why)
    assert await last(asking.id) == e.SessionStopped(turn_id=turn_id(asking), by=grace, halt=why)
    given = (await room.log.view(asking.id)).approval(approval)
    assert given is not None
    assert given.state == "voided"
    assert len((await room.log.view(alone.id)).waiting_prompts) == 1
    for view in (waiting, routing):
        assert (await room.log.view(view.id)).seq == view.seq
    assert isinstance(await last(done.id), e.TurnFinished)


async def test_both_are_on_the_audit(room: Room, standstill: Standstill, ada: Person) -> None:
    await room.running(ada)
    await standstill.stop(ada, "a key leaked")
    assert await standstill.resume(ada)
    assert not await standstill.resume(ada)
    released, engaged = await Audit(room.database).page(None, 10)
    assert (engaged.entry.action, released.entry.action) == ("halt.engage", "halt.release")
    assert engaged.entry.detail == {"by": "Ada", "reason": "a key leaked", "turns": "1"}
    assert {engaged.entry.actor, released.entry.actor} == {f"web for {ada.id}"}


async def test_what_waits_is_failed_by_no_sweep_and_rung_for_afterwards(
    room: Room, standstill: Standstill, switch: KillSwitch, ada: Person, redis_url: str
) -> None:
    queued, routing = await room.queued(ada), await room.opened(ada)
    await standstill.stop(ada, "")
    await room.commands.add_prompt(queued.id, prompt(ada, "written while all was halted"))
    before = [await room.log.view(view.id) for view in (queued, routing)]
    for _ in range(6):
        await flush(redis_url)
        assert await room.reconciler.sweep() == 0
    assert await room.queue.depth() == 0
    assert [await room.log.view(view.id) for view in before] == before
    await standstill.resume(ada)
    assert await room.reconciler.sweep() == 2
    assert await room.queue.depth() == 2


async def test_a_turn_whose_worker_died_is_told_as_stopped_while_all_is_halted(
    room: Room, standstill: Standstill, ada: Person, grace: Person
) -> None:
    view = await room.running(ada)
    lease = await room.leases.acquire(view.id, "worker")
    assert lease is not None
    # One person's stop was on its way already, and says less than the halt.
    await room.commands.stop(view.id, grace)
    for _ in range(2):
        await standstill.stop(ada, "a key leaked")
    await room.leases.release(lease)
    assert await room.reconciler.sweep() == 1
    *_, once, again, stopped = [record.event for record in await room.log.read(view.id)]
    assert once == e.StopRequested(by=grace)
    assert again == e.StopRequested(by=ada, halt="a key leaked")
    assert stopped == e.SessionStopped(turn_id=turn_id(view), by=ada, halt="a key leaked")
