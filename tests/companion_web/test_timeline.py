"""The timeline follows the events."""

from __future__ import annotations

from datetime import UTC, datetime

from companion_web.fragments import Fragments
from companion_web.timeline import KINDS, Item, Timeline
from session import events as e
from tests.companion_web import story
from tests.companion_web.stage import CATALOGUE

WITHOUT_AN_ITEM = {
    "TitleChanged",
    "WordsTaken",
    "PromptEdited",
    "PromptCancelled",
    "SteerRequested",
    "PromptSteered",
    "ToolReturned",
    "PlanChanged",
    "QuestionAnswered",
    "ArtifactAdded",
    "ApprovalGiven",
    "ApprovalWithdrawn",
    "ApprovalRefused",
    "ApprovalVoided",
    "ApprovalUsed",
    "FeedbackGiven",
    "SessionOpened",
    "BranchPublished",
    "PullRequestUpdated",
    "WorkspaceSynced",
}
"""Events that show in an item of another event, or in the page's parts."""


def timeline(*events: e.Event) -> Timeline:
    made = Timeline()
    for seq, event in enumerate(events, 1):
        made.apply(e.Recorded("s", seq, datetime(2026, 1, 1, tzinfo=UTC), event))
    return made


def kinds(made: Timeline) -> list[str]:
    return [item.kind for item in made.items.values()]


def only(made: Timeline, kind: str) -> Item:
    (item,) = (item for item in made.items.values() if item.kind == kind)
    return item


def test_every_event_either_has_an_item_or_is_known_to_have_none() -> None:
    assert {kind.__name__ for kind in KINDS} | WITHOUT_AN_ITEM == set(e.EVENT_TYPES)


def test_every_item_of_a_whole_story_can_be_rendered() -> None:
    fragments = Fragments(CATALOGUE)
    made = timeline(
        *story.opening(),
        *story.start(),
        *story.work(),
        *story.finish(),
        *story.ending(),
        *story.governed(),
        *every_other_event(),
    )
    assert made.view is not None
    rendered = [fragments.item(item, made.view) for item in made.items.values()]
    assert all(
        html.startswith(f'<li id="e{item.at}"')
        for html, item in zip(rendered, made.items.values(), strict=True)
    )
    assert {item.kind for item in made.items.values()} | {"folded"} >= set(KINDS.values())


def every_other_event() -> list[e.Event]:
    ada = story.ADA
    return [
        e.PromptQueued(prompt=story.prompt("pr2", "And the footer")),
        e.RetryRequested(by=ada, prompt_id="pr2"),
        e.WordsTaken(prompt=story.prompt("w", "smaller")),
        e.WordsUnderstood(
            prompt_id="w", meaning="switch_model", by=ada, text="smaller", model="m", former="l"
        ),
        e.EachRequested(by=ada),
        e.EachFailed(sentence="Not now."),
        e.WordsUnderstood(prompt_id="w", meaning="move_repository", by=ada, text="in web", trouble="No."),
        e.WordsWithdrawn(prompt_id="w", by=ada, former="l"),
        e.TurnStarted(turn_id="t2", prompt_id="pr2", model="gpt-5.1-codex", epoch=2),
        e.TurnResumed(turn_id="t2", epoch=3, reason="the worker was restarted"),
        e.ContextCompacted(turn_id="t2", cleared_before=3),
        e.SandboxLost(cause="out of memory"),
        e.LimitReached(turn_id="t2", limit="memory"),
        e.QuestionAsked(
            question_id="q1", turn_id="t2", call_id="c8", text="Which?", options=("this", "that")
        ),
        e.QuestionAnswered(question_id="q1", text="this", by=ada),
        e.WorkHeldBack(
            holds=(e.Hold(kind="secret", what="holds a key", path="k", commit="c" * 40),), saved=True
        ),
        e.WorkHeldBack(holds=(e.Hold(kind="handover", what="It is too large."),), saved=False),
        e.HoldsLifted(holds=(e.Hold(kind="secret", what="holds a key", path="k", commit="c" * 40),)),
        e.PartDegraded(part="model", detail="slow"),
        e.PartRecovered(part="model"),
        e.TurnPaused(turn_id="t2", cause="the model is away"),
        e.StopRequested(by=ada),
        e.TurnFailed(turn_id="t2", cause="gone", advice="try again"),
        e.SessionStopped(turn_id=None, by=ada, halt="a key leaked"),
        e.RepositoryAsked(reason="two fit", candidates=(e.Candidate(slug="acme/web"),)),
        e.RoutingFailed(cause="none fits", advice="name one"),
        e.MergeFailed(cause="conflict", advice="rebase"),
        e.PullRequestStateChanged(number=482, state="merged", by="grace"),
        e.SessionArchived(by=ada),
    ]


def test_a_call_is_one_item_from_its_begin_to_its_return() -> None:
    begun = story.call("c1", "shell", "running", '{"a": 1}', "long output")
    made = timeline(*story.opening(), *story.start(), *begun)
    item = only(made, "call")
    assert isinstance(item.result, e.ToolReturned)
    assert item.result.output == "", "output is read on demand"
    assert (item.reply_seq, item.at, item.seq, item.result_seq) == (6, 7, 8, 8)


def test_a_call_that_never_returned_is_cut_when_its_turn_ends() -> None:
    called = e.ToolCalled(turn_id="t1", call_id="c1", tool="shell", action="running")
    made = timeline(*story.opening(), *story.start(), called)
    assert not only(made, "call").cut
    made = timeline(
        *story.opening(), *story.start(), called, e.TurnFailed(turn_id="t1", cause="gone", advice="again")
    )
    assert only(made, "call").cut


def test_an_answer_that_repeats_the_last_reply_is_shown_once() -> None:
    reply = e.ModelReplied(turn_id="t1", text="All done.", model="m")
    made = timeline(
        *story.opening(), *story.start(), reply, e.TurnFinished(turn_id="t1", summary="All done.")
    )
    assert kinds(made)[-2:] == ["folded", "answer"]


def test_a_reply_without_words_is_no_item() -> None:
    made = timeline(*story.opening(), *story.start(), e.ModelReplied(turn_id="t1", text=" ", model="m"))
    assert "reply" not in kinds(made)


def test_prompts_and_approvals_change_with_the_state_they_are_in() -> None:
    made = timeline(*story.opening(), *story.start())
    assert only(made, "prompt").seq == 4, "taken up by TurnStarted"
    made = timeline(
        *story.opening(),
        *story.start(),
        story.approval(),
        e.ApprovalGiven(approval_id="a1", digest="d" * 64, by=story.GRACE),
    )
    assert only(made, "approval").seq == 7


def test_items_keep_the_place_of_the_event_that_began_them() -> None:
    made = timeline(*story.opening(), *story.start(), *story.work(), *story.finish(), *story.ending())
    places = [item.at for item in made.items.values()]
    assert places == sorted(places)


def test_what_each_event_changed_is_known_once() -> None:
    """The changes of all events together are all items, each exactly once: the ground of exact resume."""
    made = timeline(*story.opening(), *story.start(), *story.work(), *story.finish(), *story.ending())
    changed = [item.key for seq in range(1, made.seq + 1) for item in made.changed_at(seq)]
    assert sorted(changed) == sorted(made.items)
