"""Who links an account in the middle of a session keeps the rights of the person who began it."""

from __future__ import annotations

import pytest

from session import events as e
from session.people import Person
from session.refusals import NotAllowed
from tests.session.people import identity, prompt
from tests.session.room import Room


async def linked(room: Room) -> tuple[Person, Person]:
    """Ada as the log knows her, then as she is after her account was linked to the one of the page."""
    before = await room.person("Ada", "prompter")
    page = await room.directory.resolve(identity("Ada", platform="github"))
    await room.directory.set_role(page.id, "prompter")
    return before, page


async def link(room: Room) -> Person:
    page = await room.directory.resolve(identity("Ada", platform="github"))
    await room.directory.link(page.id, identity("Ada"))
    return await room.directory.resolve(identity("Ada"))


async def test_the_repository_can_still_be_picked(room: Room) -> None:
    before, _ = await linked(room)
    view = await room.opened(before)
    await room.commands.ask_repository(view.id, e.RepositoryAsked(reason="unclear", candidates=()))
    after = await link(room)
    assert after.id != before.id
    assert (await room.commands.check_pick(view.id, after)).id == view.id
    view = await room.commands.pick_repository(view.id, "acme/web", after)
    assert view.state == "queued"


async def test_an_own_prompt_can_still_be_changed_and_the_session_stopped(room: Room) -> None:
    before, _ = await linked(room)
    view = await room.running(before)
    waiting = prompt(before, "frist")
    await room.commands.add_prompt(view.id, waiting)
    after = await link(room)
    view = await room.commands.edit_prompt(view.id, waiting.id, "first", after)
    assert view.waiting_prompts[0].prompt.text == "first"
    assert (await room.commands.stop(view.id, after)).state == "stopped"


async def test_an_own_yes_can_still_be_taken_back(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    approval_id = await room.ask(view.id)
    await room.commands.approve(view.id, approval_id, ada)
    after = await link(room)
    view = await room.commands.withdraw(view.id, approval_id, after)
    assert [item.state for item in view.approvals] == ["open"]


async def test_somebody_else_gets_no_right_by_linking(room: Room) -> None:
    before, _ = await linked(room)
    view = await room.running(before)
    other = await room.person("Margaret", "prompter")
    await link(room)
    with pytest.raises(NotAllowed):
        await room.commands.stop(view.id, other)
