"""Approvals: who, what, until when, how often."""

from __future__ import annotations

import asyncio

import pytest

from session import access
from session import events as e
from session.people import Person
from session.refusals import Changed, NotAllowed, NotFound, NotNow, Refusal
from session.view import SessionView
from tests.session.people import identity, prompt
from tests.session.room import Room, turn_id


def state(view: SessionView, approval_id: str) -> str:
    approval = view.approval(approval_id)
    assert approval is not None
    return approval.state


async def test_yes_lets_the_turn_go_on_and_a_second_yes_changes_nothing(
    room: Room, ada: Person, grace: Person
) -> None:
    view = await room.running(ada)
    approval_id = await room.ask(view.id)
    view = await room.commands.approve(view.id, approval_id, ada)
    assert (view.state, state(view, approval_id)) == ("running", "given")
    number = await room.leases.next_epoch(view.id)
    assert await room.queue.status("run_turn", view.id, number) == "queued"
    again = await room.commands.approve(view.id, approval_id, grace)
    assert again.seq == view.seq


async def test_many_approvers_at_once_give_one_approval(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    approval_id = await room.ask(view.id)
    people = [await room.person(f"Person{number}") for number in range(6)]
    await asyncio.gather(*(room.commands.approve(view.id, approval_id, person) for person in people))
    given = [r for r in await room.log.read(view.id) if isinstance(r.event, e.ApprovalGiven)]
    assert len(given) == 1


async def test_those_without_the_right_are_told_why(room: Room, ada: Person, linus: Person) -> None:
    view = await room.running(ada)
    prompter = await room.person("Margaret", "prompter")
    approval_id = await room.ask(view.id, excluded=(ada.id,))
    for person, words in ((linus, "approver"), (prompter, "approver"), (ada, "somebody else")):
        with pytest.raises(NotAllowed, match=words):
            await room.commands.approve(view.id, approval_id, person)
    assert state(await room.log.view(view.id), approval_id) == "open"


async def test_an_approval_counts_only_for_what_was_seen(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    approval_id = await room.ask(view.id)
    with pytest.raises(Changed, match="newest"):
        await room.commands.approve(view.id, approval_id, ada, digest="another")
    view = await room.commands.approve(view.id, approval_id, ada, digest="d1")
    assert state(view, approval_id) == "given"


async def test_an_approval_that_ran_out_is_voided_and_the_turn_goes_on(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    approval_id = await room.ask(view.id, minutes=0)
    with pytest.raises(Changed, match="time ran out"):
        await room.commands.approve(view.id, approval_id, ada)
    view = await room.log.view(view.id)
    assert (view.state, state(view, approval_id)) == ("running", "voided")
    with pytest.raises(Changed, match="time ran out"):
        await room.commands.approve(view.id, approval_id, ada)


async def test_new_changes_void_an_approval_of_older_ones(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    approval_id = await room.ask(view.id, head_sha="old")
    changes = e.ChangesRecorded(base_sha="b", head_sha="new", files=1, insertions=1, deletions=0)
    await room.log.record(view.id, lambda _: [changes])
    with pytest.raises(Changed, match="not the newest"):
        await room.commands.approve(view.id, approval_id, ada)


async def test_a_yes_can_be_taken_back_until_it_was_used(room: Room, ada: Person, grace: Person) -> None:
    view = await room.running(ada)
    approval_id = await room.ask(view.id)
    await room.commands.approve(view.id, approval_id, ada)
    unchanged = await room.commands.withdraw(view.id, approval_id, grace)
    assert state(unchanged, approval_id) == "given"
    view = await room.commands.withdraw(view.id, approval_id, ada)
    assert (view.state, state(view, approval_id)) == ("awaiting_approval", "open")
    assert (await room.commands.withdraw(view.id, approval_id, ada)).seq == view.seq
    await room.commands.approve(view.id, approval_id, ada)
    await room.log.record(view.id, lambda _: [e.ApprovalUsed(approval_id=approval_id)])
    with pytest.raises(NotNow, match="taken effect"):
        await room.commands.withdraw(view.id, approval_id, ada)
    with pytest.raises(NotNow, match="already done"):
        await room.commands.refuse(view.id, approval_id, ada)


async def test_no_holds_against_a_later_yes(room: Room, ada: Person, grace: Person) -> None:
    view = await room.running(ada)
    approval_id = await room.ask(view.id)
    view = await room.commands.refuse(view.id, approval_id, ada)
    assert (view.state, state(view, approval_id)) == ("running", "refused")
    assert (await room.commands.refuse(view.id, approval_id, grace)).seq == view.seq
    with pytest.raises(NotNow, match="Ada"):
        await room.commands.approve(view.id, approval_id, grace)


async def test_no_stops_a_yes_that_had_no_effect_yet(room: Room, ada: Person, grace: Person) -> None:
    view = await room.running(ada)
    approval_id = await room.ask(view.id)
    await room.commands.approve(view.id, approval_id, ada)
    view = await room.commands.refuse(view.id, approval_id, grace)
    assert state(view, approval_id) == "refused"


async def test_an_approval_falls_with_its_turn(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    approval_id = await room.ask(view.id)
    await room.commands.approve(view.id, approval_id, ada)
    view = await room.fail(view.id)
    assert state(view, approval_id) == "voided"
    assert (await room.commands.withdraw(view.id, approval_id, ada)).state == "failed"


async def test_a_merge_waits_beside_the_session_and_rings_its_own_job(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    opened = e.PullRequestOpened(
        number=7, url="u", branch="b", base="main", head_sha="s1", title="t", draft=False, author="ada"
    )
    await room.log.record(view.id, lambda _: [opened])
    await room.finish(view.id)
    stale = await room.ask(view.id, "merge", blocking=False, head_sha="s0")
    with pytest.raises(Changed, match="new commits"):
        await room.commands.approve(view.id, stale, ada)
    approval_id = await room.ask(view.id, "merge", blocking=False, head_sha="s1")
    view = await room.commands.approve(view.id, approval_id, ada)
    assert view.state == "idle"
    assert await room.queue.status("merge_pull_request", view.id, view.seq) == "queued"
    stopped = await room.commands.stop(view.id, ada)
    assert state(stopped, approval_id) == "voided"


async def test_the_forge_tells_the_end_of_a_pull_request_once(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    opened = e.PullRequestOpened(
        number=7, url="u", branch="b", base="main", head_sha="s1", title="t", draft=False, author="ada"
    )
    await room.log.record(view.id, lambda _: [opened])
    approval_id = await room.ask(view.id, "merge", blocking=False)
    tell = room.commands.record_pull_request_state
    merged = await tell("acme/web", 7, "merged", "ada")
    assert merged is not None
    assert merged.pull_request is not None
    assert merged.pull_request.state == "merged"
    assert state(merged, approval_id) == "voided"
    for late in ("merged", "open"):
        after = await tell("acme/web", 7, late, "ada")
        assert after is not None
        assert after.seq == merged.seq
    assert await tell("acme/web", 8, "closed", "ada") is None


async def test_nobody_merges_what_they_asked_for_unless_they_are_alone(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    alone = access.merge_excluded(view, await room.directory.approvers())
    assert alone.excluded == ()
    assert "Only one person" in alone.note
    await room.person("Grace")
    several = access.merge_excluded(view, await room.directory.approvers())
    assert (several.excluded, several.note) == ((ada.id,), "")


async def test_a_linked_account_does_not_make_another_person(room: Room, ada: Person) -> None:
    await room.person("Grace")
    view = await room.running(ada)
    approval_id = await room.ask(view.id, "merge", blocking=False, excluded=(ada.id,))
    on_the_page = await room.directory.resolve(identity("Ada", platform="github"))
    await room.directory.link(on_the_page.id, identity("Ada"))
    for account in (identity("Ada"), identity("Ada", platform="github")):
        person = await room.directory.resolve(account)
        assert person.id != ada.id
        with pytest.raises(NotAllowed):
            await room.commands.approve(view.id, approval_id, person)


async def test_unknown_approvals_are_refused(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    for command in (room.commands.approve, room.commands.refuse, room.commands.withdraw):
        with pytest.raises(NotFound):
            await command(view.id, "nothing", ada)


async def test_stop_with_nothing_open_stops_at_once_and_keeps_the_line(room: Room, ada: Person) -> None:
    for view in (await room.opened(ada), await room.queued(ada)):
        stopped = await room.commands.stop(view.id, ada)
        assert stopped.state == "stopped"
        assert len(stopped.waiting_prompts) == 1
        assert (await room.commands.stop(view.id, ada)).seq == stopped.seq
        again = await room.commands.retry(view.id, ada)
        assert again.state == view.state


async def test_stop_while_a_person_is_asked_voids_what_was_asked(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    approval_id = await room.ask(view.id)
    assert await room.leases.acquire(view.id, "worker") is not None
    view = await room.commands.stop(view.id, ada)
    assert (view.state, state(view, approval_id)) == ("stopped", "voided")
    with pytest.raises(Refusal):
        await room.commands.approve(view.id, approval_id, ada)


async def test_stop_of_a_running_turn_asks_its_worker_and_is_done_without_one(
    room: Room, ada: Person
) -> None:
    view = await room.running(ada)
    lease = await room.leases.acquire(view.id, "worker")
    assert lease is not None
    view = await room.commands.stop(view.id, ada)
    assert view.state == "running"
    assert view.stop_requested == ada
    assert (await room.commands.stop(view.id, ada)).seq == view.seq
    await room.leases.release(lease)
    view = await room.commands.stop(view.id, ada)
    assert view.state == "stopped"


async def test_follow_ups_of_a_stopped_turn_wait_for_a_word(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    await room.commands.add_prompt(view.id, prompt(ada, "then this"))
    assert await room.leases.acquire(view.id, "worker") is not None
    await room.commands.stop(view.id, ada)
    view = await room.finish(view.id)  # the turn came to its end before the worker saw the wish
    assert view.state == "stopped"
    assert len(view.waiting_prompts) == 1
    view = await room.commands.retry(view.id, ada)
    assert view.state == "queued"


async def test_those_not_involved_cannot_stop(room: Room, ada: Person, linus: Person) -> None:
    view = await room.running(ada)
    other = await room.person("Margaret", "prompter")
    for person in (linus, other):
        with pytest.raises(NotAllowed, match="Ada"):
            await room.commands.stop(view.id, person)


async def test_retry_takes_the_last_prompt_up_again(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    with pytest.raises(NotNow, match="right now"):
        await room.commands.retry(view.id, ada)
    view = await room.fail(view.id)
    assert view.failure is not None
    view = await room.commands.retry(view.id, ada)
    assert (view.state, view.failure) == ("queued", None)
    assert [p.state for p in view.prompts] == ["waiting"]
    assert (await room.commands.retry(view.id, ada)).seq == view.seq
    await room.begin(view.id)
    view = await room.finish(view.id)
    assert view.turn is not None
    assert turn_id(view)
    with pytest.raises(NotNow, match="nothing to try again"):
        await room.commands.retry(view.id, ada)


async def test_a_failed_turn_does_not_hold_up_the_line(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    await room.commands.add_prompt(view.id, prompt(ada, "then this"))
    view = await room.fail(view.id)
    assert view.state == "queued"
    assert view.failure is not None
    view = await room.commands.retry(view.id, ada)
    assert [p.state for p in view.prompts] == ["waiting", "waiting"]
