"""The log under concurrent writers, with leases and claims in the same transaction."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from session import events as e
from session.fold import FoldError, fold
from session.inbox import AlreadyClaimed, Claim
from session.leases import StaleEpoch
from session.listing import SessionFilter
from session.log import Conflict, NoSuchSession
from session.people import Person
from tests.session.people import ORIGIN, prompt
from tests.session.room import Room, always


def note(text: str) -> e.NoteAdded:
    return e.NoteAdded(turn_id="t", text=text)


async def test_of_many_writers_that_expect_the_same_seq_exactly_one_wins(room: Room, ada: Person) -> None:
    view = await room.opened(ada)

    async def write(number: int) -> bool:
        try:
            await room.log.append(view.id, [note(str(number))], expected_seq=view.seq)
        except Conflict:
            return False
        return True

    won = await asyncio.gather(*(write(number) for number in range(12)))
    assert won.count(True) == 1
    assert [record.seq for record in await room.log.read(view.id)] == [1, 2, 3]


async def test_record_retries_and_loses_nothing(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    texts = [str(number) for number in range(30)]
    await asyncio.gather(*(room.log.record(view.id, always(note(text))) for text in texts))
    records = await room.log.read(view.id, after=view.seq)
    assert sorted(r.event.text for r in records if isinstance(r.event, e.NoteAdded)) == sorted(texts)
    assert [record.seq for record in records] == list(range(3, 33))


async def test_a_writer_whose_lease_was_taken_over_is_refused(room: Room, ada: Person) -> None:
    view = await room.queued(ada)
    old = await room.leases.acquire(view.id, "old")
    assert old is not None
    await room.leases.release(old)
    new = await room.leases.acquire(view.id, "new")
    assert new is not None
    with pytest.raises(StaleEpoch):
        await room.log.append(view.id, [note("late")], expected_seq=view.seq, epoch=old.epoch)
    await room.log.append(view.id, [note("in time")], expected_seq=view.seq, epoch=new.epoch)
    assert (await room.log.view(view.id)).seq == view.seq + 1


async def test_a_writer_whose_lease_ran_out_is_refused_though_nobody_took_it(room: Room, ada: Person) -> None:
    view = await room.queued(ada)
    lease = await room.leases.acquire(view.id, "slow")
    assert lease is not None
    await room.database.execute(
        "UPDATE leases SET expires_at = ? WHERE session_id = ?", view.created_at, view.id
    )
    with pytest.raises(StaleEpoch):
        await room.log.record(view.id, lambda _: [note("late")], epoch=lease.epoch)
    assert (await room.log.view(view.id)).seq == view.seq


async def test_a_claim_is_taken_once_and_with_its_events(room: Room, ada: Person) -> None:
    claim = Claim("slack", "Ev1")
    view = await room.commands.open_session(prompt(ada), ORIGIN, claim=claim)
    with pytest.raises(AlreadyClaimed) as caught:
        await room.commands.open_session(prompt(ada), ORIGIN, claim=claim)
    assert caught.value.session_id == view.id
    assert len(await room.log.sessions(SessionFilter())) == 1


async def test_the_same_delivery_arriving_at_once_opens_one_session(room: Room, ada: Person) -> None:
    claim = Claim("slack", "Ev2")
    results = await asyncio.gather(
        *(room.commands.open_session(prompt(ada), ORIGIN, claim=claim) for _ in range(8)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, AlreadyClaimed) for result in results) == 7
    assert len(await room.log.sessions(SessionFilter())) == 1


async def test_a_claim_falls_with_its_transaction(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    claim = Claim("slack", "Ev3")
    with pytest.raises(Conflict):
        await room.log.append(view.id, [note("x")], expected_seq=view.seq - 1, claim=claim)
    await room.log.record(view.id, lambda _: [note("y")], claim=claim)
    with pytest.raises(AlreadyClaimed):
        await room.log.record(view.id, lambda _: [note("z")], claim=claim)
    assert (await room.log.view(view.id)).seq == view.seq + 1


async def test_a_claim_of_a_decision_that_changes_nothing_is_taken(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    claim = Claim("slack", "Ev4")
    await room.log.record(view.id, lambda _: [], claim=claim)
    with pytest.raises(AlreadyClaimed):
        await room.log.record(view.id, lambda _: [], claim=claim)


async def test_events_that_cannot_be_folded_are_not_written(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    again = e.SessionOpened(title="again", origin=ORIGIN, requester=ada)
    with pytest.raises(FoldError):
        await room.log.record(view.id, lambda _: [note("a"), again])
    assert (await room.log.view(view.id)).seq == view.seq


async def test_a_cancelled_writer_leaves_the_database_usable(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    for _ in range(5):
        writer = asyncio.create_task(room.log.record(view.id, lambda _: [note("cut")]))
        await asyncio.sleep(0)
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
    async with asyncio.timeout(60):
        after = await room.log.record(view.id, lambda _: [note("whole")])
    assert fold(await room.log.read(view.id)) == after


async def test_unknown_sessions(room: Room) -> None:
    with pytest.raises(NoSuchSession):
        await room.log.view("nowhere")
    with pytest.raises(NoSuchSession):
        await room.log.append("nowhere", [note("x")], expected_seq=1)
    with pytest.raises(NoSuchSession):
        await anext(aiter(room.log.follow("nowhere")))


async def test_sessions_are_found_by_what_they_are(room: Room, ada: Person, grace: Person) -> None:
    first = await room.opened(ada, "Repair the 100% broken login")
    second = await room.queued(grace)
    await room.commands.add_prompt(second.id, prompt(ada, "and the logout"))

    async def ids(**wanted: object) -> list[str]:
        return [row.id for row in await room.log.sessions(SessionFilter(**wanted))]  # type: ignore[arg-type]

    assert await ids() == [second.id, first.id]
    assert await ids(limit=1) == [second.id]
    assert await ids(states=("routing",)) == [first.id]
    assert await ids(states=()) == []
    assert await ids(person=grace.id) == [second.id]
    assert await ids(person=ada.id) == [second.id, first.id]
    assert await ids(repository="acme/web") == [second.id]
    assert await ids(text="100% BROKEN") == [first.id]
    assert await ids(text="1_0") == []
    newest = (await room.log.sessions(SessionFilter()))[0]
    assert await ids(before=newest.updated_at) == [first.id]
    assert newest.needs_worker
    assert newest.requester_name == "Grace"


async def test_sessions_are_found_by_thread_branch_and_pull_request(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    opened = e.PullRequestOpened(
        number=7,
        url="u",
        branch="bellhop/x/y",
        base="main",
        head_sha="s",
        title="t",
        draft=True,
        author="ada",
    )
    published = e.BranchPublished(branch="bellhop/x/y", head_sha="s", compare_url="c")
    await room.log.record(view.id, lambda _: [published, opened])
    assert await room.log.find_by_thread("slack", "T1", "C1", "100.1") == view.id
    assert await room.log.find_by_thread("slack", "T2", "C1", "100.1") is None
    hour = timedelta(hours=1)
    assert await room.log.threads("slack", "T1", hour, 5) == [("C1", "100.1")]
    assert await room.log.threads("slack", "T1", hour, 0) == []
    assert await room.log.threads("slack", "T1", -hour, 5) == []
    assert await room.log.threads("slack", "T2", hour, 5) == []
    assert await room.log.find_by_pull_request("acme/web", 7) == view.id
    assert await room.log.find_by_pull_request("acme/api", 7) is None
    assert await room.log.find_by_branch("acme/web", "bellhop/x/y") == view.id


async def test_of_many_who_claim_what_causes_no_command_one_is_first(room: Room) -> None:
    claim = Claim("slack", "told:1.0")
    first = await asyncio.gather(*(room.log.claim(claim) for _ in range(8)))
    assert first.count(True) == 1
    assert await room.log.claim(Claim("discord", "told:1.0")), "another platform's event is another one"
