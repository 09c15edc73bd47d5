"""A session in which everything happens, and any text in place of each text that somebody else wrote."""

from __future__ import annotations

from typing import Any, TypeVar, get_args

from pydantic import BaseModel

from session import events as e
from tests.companion_web import story
from tests.companion_web.test_timeline import every_other_event

M = TypeVar("M", bound=BaseModel)

OURS = frozenset(
    {"id", "turn_id", "prompt_id", "approval_id", "question_id", "artifact_id", "diff_artifact", "digest"}
    | {"policy_version", "platform", "workspace", "channel", "thread", "message", "trigger", "slug"}
)
"""Fields that Bellhop itself fills; all others hold what somebody else wrote."""


def poisoned(model: M, payload: str) -> M:
    """The event with the payload in every text of it."""
    return model.model_copy(
        update={
            name: _poisoned(name, getattr(model, name), field.annotation, payload)
            for name, field in type(model).model_fields.items()
            if name not in OURS
        }
    )


def _poisoned(name: str, value: Any, annotation: Any, payload: str) -> Any:
    if isinstance(value, BaseModel):
        return poisoned(value, payload)
    if isinstance(value, tuple):
        return tuple(_poisoned(name, one, str, payload) for one in value)
    if name == "call_id" and value is not None:
        return f"{value}{payload}"  # the model's, and still another for each call
    return payload if isinstance(value, str) and str in (annotation, *get_args(annotation)) else value


def everything() -> list[e.Event]:
    """A session in which everything happens, and which ends with all questions open."""
    return [
        *story.opening(), *story.start(), *story.work(), *story.finish(), *story.ending(), *story.governed(),
        e.TitleChanged(title="x"), e.PromptCancelled(prompt_id="pr1", by=story.ADA),
        *(event for event in every_other_event() if not isinstance(event, e.SessionArchived)),
        e.PromptQueued(prompt=story.prompt("pr3", "x")),
        story.governance_approval("g9", "egress", "x", "x", "x"),
        e.PromptEdited(prompt_id="pr3", text="x", by=story.ADA),
        story.governance_approval("g8", "command", "x", "x", "x"),
        e.ApprovalGiven(approval_id="g8", digest="g8" * 20, by=story.GRACE),
        e.ApprovalWithdrawn(approval_id="g8", by=story.GRACE), e.ApprovalVoided(approval_id="g8", reason="x"),
        story.governance_approval("g7", "budget", "x", "x", "x"),
        e.ApprovalRefused(approval_id="g7", by=story.GRACE),
        e.FeedbackGiven(verdict="good", by=story.ADA), e.PullRequestUpdated(number=482, head_sha="x"),
        e.PromptQueued(prompt=story.prompt("pr4", "x")), e.SteerRequested(prompt_id="pr4", by=story.ADA),
        e.TurnStarted(turn_id="t3", prompt_id="pr3", model="x", epoch=9),
        e.PromptSteered(prompt_id="pr4", turn_id="t3"), e.PromptQueued(prompt=story.prompt("pr5", "x")),
        e.QuestionAsked(question_id="q9", turn_id="t3", call_id="c", text="x", options=("x",)),
    ]  # fmt: skip
