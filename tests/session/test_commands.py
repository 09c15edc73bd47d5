"""Commands around prompts and repositories."""

from __future__ import annotations

import pytest

from session import events as e
from session.directory import Directory
from session.people import Attachment, Person
from session.refusals import NotAllowed, NotFound, NotNow, Refusal
from tests.session.people import ORIGIN, identity, prompt
from tests.session.room import Room, always


async def test_a_session_opens_with_a_title_and_a_cursor_for_its_platform(room: Room, ada: Person) -> None:
    view = await room.opened(ada, "  Fix the login page, " + "please " * 30 + "\nSecond line")
    assert view.state == "routing"
    assert view.title.startswith("Fix the login page, please")
    assert len(view.title) <= 80
    pending = await room.outbox.pending("slack")
    assert [(item.session_id, item.delivered_seq, item.seq) for item in pending] == [(view.id, 0, 2)]
    assert await room.queue.status("route_session", view.id, view.seq) == "queued"


async def test_viewers_and_guests_are_told_kindly_that_they_cannot_ask(room: Room, linus: Person) -> None:
    with pytest.raises(NotAllowed, match="Linus"):
        await room.opened(linus)
    guest = await room.directory.resolve(identity("Guest", guest=True))
    with pytest.raises(NotAllowed):
        await room.opened(guest)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("", "empty"), (" \n\t", "empty"), ("x" * 50_001, "50,001")],
)
async def test_prompts_that_cannot_be_taken_are_refused_with_a_reason(
    room: Room, ada: Person, text: str, sentence: str
) -> None:
    view = await room.opened(ada)
    with pytest.raises(Refusal, match=sentence):
        await room.commands.open_session(prompt(ada, text), ORIGIN)
    with pytest.raises(Refusal, match=sentence):
        await room.commands.add_prompt(view.id, prompt(ada, text))


async def test_a_long_prompt_and_a_bare_file_are_taken_whole(room: Room, ada: Person) -> None:
    long = await room.opened(ada, "word " * 8_000)
    assert len((await room.log.view(long.id)).prompts[0].prompt.text) == 40_000
    file = Attachment(name="a.txt", media_type="text/plain", size_bytes=1, text="a")
    bare = await room.commands.open_session(prompt(ada, "", attachments=(file,)), ORIGIN)
    assert bare.title == "New request"


async def test_follow_ups_wait_in_line_while_a_turn_runs(room: Room, ada: Person, grace: Person) -> None:
    view = await room.running(ada)
    accepted = await room.commands.add_prompt(view.id, prompt(grace, "and the logout"))
    assert accepted.how == "queued"
    assert accepted.view.state == "running"
    assert [p.prompt.text for p in accepted.view.waiting_prompts] == ["and the logout"]
    after = await room.finish(view.id)
    assert after.state == "queued"
    assert [author.name for author in after.authors] == ["Ada", "Grace"]


async def test_a_follow_up_starts_a_resting_session(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    await room.finish(view.id)
    accepted = await room.commands.add_prompt(view.id, prompt(ada))
    assert accepted.how == "started"
    assert accepted.view.state == "queued"
    number = await room.leases.next_epoch(view.id)
    assert await room.queue.status("run_turn", view.id, number) == "queued"


async def test_the_same_prompt_twice_is_one_prompt(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    words = prompt(ada, "once")
    await room.commands.add_prompt(view.id, words)
    again = await room.commands.add_prompt(view.id, words)
    assert len(again.view.waiting_prompts) == 1


async def test_words_answer_an_open_question(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    question = e.QuestionAsked(question_id="q1", turn_id="t", call_id="c", text="Which one?")
    await room.log.record(view.id, lambda _: [question])
    accepted = await room.commands.add_prompt(view.id, prompt(ada, "the left one"))
    assert accepted.how == "answered"
    assert accepted.view.state == "running"
    answer = (await room.log.read(view.id))[-1].event
    assert isinstance(answer, e.QuestionAnswered)
    assert answer.text == "the left one"
    with pytest.raises(Refusal, match="no longer open"):
        await room.commands.answer_question(view.id, "q1", "the right one", ada)


async def test_words_instead_of_an_approval_void_it_and_steer_the_agent(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    approval_id = await room.ask(view.id)
    accepted = await room.commands.add_prompt(view.id, prompt(ada, "use a smaller diff"))
    assert accepted.how == "changes_asked"
    assert accepted.view.state == "running"
    assert accepted.view.waiting_prompts[0].prompt.steer
    approval = accepted.view.approval(approval_id)
    assert approval is not None
    assert (approval.state, approval.reason) == ("voided", "Ada asked for changes")


async def test_words_after_a_no_to_the_plan_are_its_reason(room: Room, ada: Person, grace: Person) -> None:
    view = await room.running(ada)
    await room.commands.refuse(view.id, await room.ask(view.id, "plan"), grace)
    accepted = await room.commands.add_prompt(view.id, prompt(grace, "leave the ledger alone"))
    assert accepted.how == "changes_asked"
    assert accepted.view.waiting_prompts[0].prompt.steer
    # With a new plan before them, or a no to something else, words are what they are otherwise.
    approval_id = await room.ask(view.id, "plan")
    await room.commands.approve(view.id, approval_id, ada)
    await room.commands.refuse(view.id, await room.ask(view.id, "command"), grace)
    accepted = await room.commands.add_prompt(view.id, prompt(ada, "and the credit notes"))
    assert accepted.how == "queued"
    assert not accepted.view.waiting_prompts[1].prompt.steer


async def test_waiting_prompts_can_be_reworded_steered_and_taken_back(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    waiting = prompt(ada, "frist")
    await room.commands.add_prompt(view.id, waiting)
    view = await room.commands.edit_prompt(view.id, waiting.id, "first", ada)
    assert view.waiting_prompts[0].prompt.text == "first"
    view = await room.commands.steer_prompt(view.id, waiting.id, ada)
    assert view.waiting_prompts[0].prompt.steer
    other = await room.person("Margaret", "prompter")
    with pytest.raises(NotAllowed, match="Ada"):
        await room.commands.cancel_prompt(view.id, waiting.id, other)
    view = await room.commands.cancel_prompt(view.id, waiting.id, ada)
    view = await room.commands.cancel_prompt(view.id, waiting.id, ada)
    assert view.waiting_prompts == ()
    with pytest.raises(NotNow, match="no longer waiting"):
        await room.commands.edit_prompt(view.id, waiting.id, "again", ada)
    with pytest.raises(NotFound):
        await room.commands.edit_prompt(view.id, "nothing", "again", ada)


async def test_taking_the_only_prompt_back_ends_routing(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    view = await room.commands.cancel_prompt(view.id, view.prompts[0].prompt.id, ada)
    assert view.state == "idle"
    chosen = e.RepositoryChosen(slug="acme/web", branch="main", how="model", reason="late")
    assert (await room.commands.choose_repository(view.id, chosen)).seq == view.seq


async def test_routing_asks_and_the_requester_or_an_approver_picks(room: Room, grace: Person) -> None:
    ada = await room.person("Ada", "prompter")
    other = await room.person("Margaret", "prompter")
    view = await room.opened(ada)
    await room.commands.ask_repository(view.id, e.RepositoryAsked(reason="unclear", candidates=()))
    with pytest.raises(NotAllowed, match="Ada"):
        await room.commands.pick_repository(view.id, "acme/web", other)
    with pytest.raises(NotAllowed):
        await room.commands.add_prompt(view.id, prompt(other, "acme/web"))
    with pytest.raises(NotFound, match="acme/web"):
        await room.commands.pick_repository(view.id, "acme/wbe", ada)
    view = await room.commands.pick_repository(view.id, "ACME/web", ada)
    assert view.state == "queued"
    assert view.repository is not None
    assert (view.repository.slug, view.repository.branch, view.repository.how) == (
        "acme/web",
        "main",
        "picked",
    )
    again = await room.commands.pick_repository(view.id, "acme/web", grace)
    assert again.seq == view.seq


async def test_words_to_the_question_which_repository_route_again(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    await room.commands.ask_repository(view.id, e.RepositoryAsked(reason="unclear", candidates=()))
    accepted = await room.commands.add_prompt(view.id, prompt(ada, "the web one"))
    assert accepted.how == "routing"
    assert accepted.view.state == "routing"


async def test_failed_routing_keeps_the_prompt_for_a_retry(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    view = await room.log.record(
        view.id, always(e.RoutingFailed(cause="no worker lived", advice="try again"))
    )
    assert view.state == "failed"
    view = await room.commands.retry(view.id, ada)
    assert view.state == "routing"
    assert len(view.waiting_prompts) == 1


async def test_a_wrong_repository_can_be_changed_until_work_shows(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    with pytest.raises(NotNow, match="acme/web"):
        await room.commands.pick_repository(view.id, "acme/api", ada)
    await room.commands.stop(view.id, ada)
    view = await room.commands.pick_repository(view.id, "acme/api", ada)
    assert view.state == "queued"
    assert view.repository is not None
    assert view.repository.slug == "acme/api"
    published = e.BranchPublished(branch="b", head_sha="s", compare_url="u")
    await room.log.record(view.id, lambda _: [published])
    with pytest.raises(NotNow, match="branch"):
        await room.commands.pick_repository(view.id, "acme/web", ada)


async def test_an_archived_session_takes_nothing_more(room: Room, ada: Person) -> None:
    view = await room.queued(ada)
    view = await room.commands.archive(view.id, ada)
    assert view.state == "archived"
    assert (await room.commands.archive(view.id, ada)).seq == view.seq
    assert (await room.commands.stop(view.id, ada)).seq == view.seq
    for refused in (
        room.commands.add_prompt(view.id, prompt(ada)),
        room.commands.retry(view.id, ada),
        room.commands.pick_repository(view.id, "acme/api", ada),
    ):
        with pytest.raises(NotNow, match="archived"):
            await refused


async def test_unknown_sessions_are_refused_with_a_sentence(room: Room, ada: Person) -> None:
    for refused in (
        room.commands.add_prompt("nowhere", prompt(ada)),
        room.commands.approve("nowhere", "a", ada),
        room.commands.stop("nowhere", ada),
        room.commands.retry("nowhere", ada),
        room.commands.pick_repository("nowhere", "acme/web", ada),
        room.commands.give_feedback("nowhere", "good", ada),
    ):
        with pytest.raises(NotFound, match="Mention me"):
            await refused


async def test_feedback_needs_an_answer(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    with pytest.raises(NotNow):
        await room.commands.give_feedback(view.id, "good", ada)
    await room.finish(view.id)
    await room.commands.give_feedback(view.id, "good", ada)
    assert isinstance((await room.log.read(view.id))[-1].event, e.FeedbackGiven)


async def test_a_default_role_is_what_newcomers_get(room: Room) -> None:
    newcomers = Directory(room.database, default_role="prompter")
    person = await newcomers.resolve(identity("Barbara"))
    assert await newcomers.role(person.id) == "prompter"
