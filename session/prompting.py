"""Commands around prompts: open a session, follow up, reword, take back, steer."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal

from session import access
from session.access import Actor
from session.desk import Desk, check_text, titled
from session.events import (
    ApprovalVoided,
    BegunWith,
    Event,
    PromptCancelled,
    PromptEdited,
    PromptQueued,
    QuestionAnswered,
    SessionOpened,
    SteerRequested,
    WordsTaken,
    WordsUnderstood,
)
from session.inbox import Claim
from session.people import Origin, Person, Prompt
from session.refusals import NotFound, NotNow
from session.view import PromptView, SessionView, State

How = Literal["queued", "started", "answered", "changes_asked", "routing"]

_FREE_STATES: frozenset[State] = frozenset(
    {"queued", "starting", "running", "paused", "idle", "stopped", "failed"}
)
"""States in which nothing is asked of people: what they write is not an answer."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a prompt: it waits ("queued"), its turn is on the way ("started"), it answered the
    agent's question ("answered"), it asked for changes to what was to be approved ("changes_asked"), or the
    repository is worked out with it ("routing")."""

    view: SessionView
    how: How


class PromptCommands(Desk):
    """Commands around prompts."""

    async def open_session(
        self,
        prompt: Prompt,
        origin: Origin,
        *,
        begun_with: BegunWith | None = None,
        claim: Claim | None = None,
    ) -> SessionView:
        """The new session, its first prompt in line, routing under way. begun_with: the one it begins beside.

        Emits: SessionOpened, PromptQueued.
        """
        access.may_prompt(await self._actor(prompt.author))
        check_text(prompt.text, alone=not prompt.attachments)
        if prompt.model is None:
            prompt = prompt.model_copy(update={"model": (await self._preferred(prompt.author)).model})
        opened = SessionOpened(
            title=titled(prompt.text), origin=origin, requester=prompt.author, begun_with=begun_with
        )
        session_id = secrets.token_hex(5)
        view = await self._log.create(session_id, [opened, PromptQueued(prompt=prompt)], claim=claim)
        await self._drive(view)
        return view

    async def add_prompt(self, session_id: str, prompt: Prompt, *, claim: Claim | None = None) -> Accepted:
        """What became of a follow-up. Emits: PromptQueued, or QuestionAnswered, or ApprovalVoided first."""
        author = await self._actor(prompt.author)
        check_text(prompt.text, alone=not prompt.attachments)
        model = (await self._preferred(prompt.author)).model
        how: How = "queued"

        def decide(view: SessionView) -> list[Event]:
            nonlocal how
            how, events = _accept(view, with_model(prompt, view, model), author)
            return events

        view = await self._record(session_id, decide, claim)
        return Accepted(view, how)

    async def take_words(self, session_id: str, prompt: Prompt, *, claim: Claim | None = None) -> Accepted:
        """What became of a short follow-up that may be a wish about the session: it is on record, and read
        next. Where people are asked something, it is their answer, as with `add_prompt`.

        Emits: WordsTaken, or as `add_prompt`.
        """
        author = await self._actor(prompt.author)
        model = (await self._preferred(prompt.author)).model
        how: How = "queued"

        def decide(view: SessionView) -> list[Event]:
            nonlocal how
            if can_be_read(view):
                access.may_prompt(author)
                return [WordsTaken(prompt=prompt)]
            check_text(prompt.text, alone=not prompt.attachments)
            how, events = _accept(view, with_model(prompt, view, model), author)
            return events

        view = await self._record(session_id, decide, claim)
        return Accepted(view, how)

    async def edit_prompt(
        self, session_id: str, prompt_id: str, text: str, by: Person, *, claim: Claim | None = None
    ) -> SessionView:
        """Reword a waiting prompt. Emits: PromptEdited."""
        actor = await self._actor(by)
        check_text(text)

        def decide(view: SessionView) -> list[Event]:
            item = _waiting(view, prompt_id, actor)
            if item.prompt.text == text:
                return []
            return [PromptEdited(prompt_id=prompt_id, text=text, by=by)]

        return await self._record(session_id, decide, claim)

    async def cancel_prompt(
        self, session_id: str, prompt_id: str, by: Person, *, claim: Claim | None = None
    ) -> SessionView:
        """Take a waiting prompt back. Emits: PromptCancelled."""
        actor = await self._actor(by)

        def decide(view: SessionView) -> list[Event]:
            item = view.prompt(prompt_id)
            if item is not None and item.state == "cancelled":
                return []
            _waiting(view, prompt_id, actor)
            return [PromptCancelled(prompt_id=prompt_id, by=by)]

        return await self._record(session_id, decide, claim)

    async def steer_prompt(
        self, session_id: str, prompt_id: str, by: Person, *, claim: Claim | None = None
    ) -> SessionView:
        """Have a waiting prompt handed to the agent at its next step. Emits: SteerRequested."""
        actor = await self._actor(by)

        def decide(view: SessionView) -> list[Event]:
            item = _waiting(view, prompt_id, actor)
            return [] if item.prompt.steer else [SteerRequested(prompt_id=prompt_id, by=by)]

        return await self._record(session_id, decide, claim)


def _accept(view: SessionView, prompt: Prompt, author: Actor) -> tuple[How, list[Event]]:
    if view.archived:
        raise NotNow("This session is archived. Mention me in a new message and I will start a fresh one.")
    access.may_prompt(author)
    if view.prompt(prompt.id) is not None:
        return "queued", []
    if view.unread and can_be_read(view):  # in the order in which they were written
        return "queued", [WordsTaken(prompt=prompt)]
    if view.state == "awaiting_repository":
        access.may_pick(author, view)
    return _placed(view, prompt)


def can_be_read(view: SessionView) -> bool:
    """Whether a message may be a wish about the session, and is no answer to anything."""
    return view.repository is not None and view.state in _FREE_STATES and not _plan_refused(view)


def as_written(view: SessionView, prompt: Prompt) -> list[Event]:
    """The message that was read is a prompt like any other."""
    understood = WordsUnderstood(prompt_id=prompt.id, meaning="follow_up", by=prompt.author)
    return [understood, *_placed(view, prompt)[1]]


def _placed(view: SessionView, prompt: Prompt) -> tuple[How, list[Event]]:
    steered = PromptQueued(prompt=prompt.model_copy(update={"steer": True}))
    if view.state == "awaiting_answer" and view.question is not None:
        answer = QuestionAnswered(question_id=view.question.question_id, text=prompt.text, by=prompt.author)
        return "answered", [answer, steered] if prompt.attachments else [answer]
    if view.state == "awaiting_approval":
        reason = f"{prompt.author.name} asked for changes"
        voided = [
            ApprovalVoided(approval_id=item.request.approval_id, reason=reason)
            for item in view.open_approvals
            if item.request.blocking
        ]
        return "changes_asked", [*voided, steered]
    if view.state == "awaiting_repository":
        return "routing", [PromptQueued(prompt=prompt)]
    if _plan_refused(view):
        return "changes_asked", [steered]
    queued = PromptQueued(prompt=prompt)
    if view.state in ("idle", "stopped", "failed"):
        return ("started" if view.repository else "routing"), [queued]
    return "queued", [queued]


def _plan_refused(view: SessionView) -> bool:
    """Whether the turn at work has just heard no to its plan: what people write then says why."""
    turn_id = view.turn.turn_id if view.turn and view.turn_open else None
    plans = [a for a in view.approvals if a.request.kind == "plan" and a.request.turn_id == turn_id]
    return turn_id is not None and bool(plans) and plans[-1].state == "refused"


def _waiting(view: SessionView, prompt_id: str, actor: Actor) -> PromptView:
    item = view.prompt(prompt_id)
    if item is None:
        raise NotFound("I cannot find that message among this session's requests.")
    access.may_change_prompt(actor, item.prompt.author)
    if view.archived or item.state != "waiting":
        raise NotNow(
            "That request is no longer waiting in line, so it cannot be changed. "
            "Write a new message and I will take it up next."
        )
    return item


def with_model(prompt: Prompt, view: SessionView, preferred: str | None) -> Prompt:
    """The prompt with the model that its author prefers, where neither it nor the session has one named."""
    if prompt.model is not None or view.model:
        return prompt
    return prompt.model_copy(update={"model": preferred})
