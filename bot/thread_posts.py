"""What an event means for the thread: messages of their own, earlier ones reworded, marks under requests.

Pure: the feed carries out what comes from here. The card is not among it; see `bot/card.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.card import session_url
from bot.long_text import one_line
from bot.messages import DONE, FAILED, SEEN, STOPPED, TAKEN, Button, Choice, Menu, Post, is_clip
from bot.sentences import (
    approvals,
    clips,
    figures,
    held_back,
    pull_requests,
    questions,
    sandbox,
    turns,
    words,
)
from session import events as e
from session.each_repository import EACH, together_digest
from session.preferences import DEFAULT_VERBOSITY, Verbosity
from session.view import ApprovalView, PromptState, SessionView


@dataclass(frozen=True, slots=True)
class Say:
    """Post this, once."""

    post: Post


@dataclass(frozen=True, slots=True)
class Reword:
    """The message of this kind and ref now shows `post`; nothing happens when it was never posted."""

    post: Post


@dataclass(frozen=True, slots=True)
class Mark:
    """Under somebody's message, take one emoji away and put another."""

    message: str
    remove: str | None
    add: str | None


@dataclass(frozen=True, slots=True)
class Know:
    """Remember which prompt a message of a person is, so that reactions on it are understood."""

    message: str
    ref: str


OPEN_QUESTION = "open"
"""The ref of every message that asks for the repository: there is one such question in a session."""


@dataclass(frozen=True, slots=True)
class BeginEach:
    """Begin the sessions that a person wants, one for each repository of the question."""


Step = Say | Reword | Mark | Know | BeginEach

VERBOSITY_DECIDES = (e.UpdatePosted, e.VerificationFinished)
"""Events that are told or not, as the requester prefers."""


@dataclass(frozen=True, slots=True)
class ThreadPosts:
    """Makes the steps. `repositories`: all that may be chosen; `public_url`: where companion pages begin."""

    public_url: str
    repositories: Sequence[Choice]

    def steps(
        self,
        before: SessionView | None,
        record: e.Recorded,
        after: SessionView,
        verbosity: Verbosity = DEFAULT_VERBOSITY,
    ) -> list[Step]:
        """All that the thread shows of this one event, in order; `verbosity` is the requester's."""
        first = [*self._known(record.event), *_heard(record.session_id, record.seq, record.event)]
        said = self._said(before, record, after)
        if verbosity == "quiet" and isinstance(record.event, e.UpdatePosted):
            said = []
        if verbosity == "detailed" and isinstance(record.event, e.VerificationFinished):
            text = figures.checks(record.event)
            said = [Say(Post("notice", record.session_id, text, str(record.seq)))]
        return [*first, *said, *_marks(before, after)]

    def _known(self, event: e.Event) -> list[Step]:
        if isinstance(event, e.PromptQueued | e.WordsTaken) and event.prompt.message:
            return [Know(event.prompt.message, event.prompt.id)]
        return []

    def _said(self, before: SessionView | None, record: e.Recorded, after: SessionView) -> list[Step]:
        sid, seq = record.session_id, str(record.seq)
        match record.event:
            case e.PromptQueued(prompt=prompt) if not prompt.message and record.seq > 2:
                return [Say(Post("notice", sid, turns.from_page(prompt.author.name, prompt.text), seq))]
            case e.RepositoryAsked() as asked:
                menu = repository_menu(
                    sid, questions.ask_repository(asked, after.origin), asked.candidates, self.repositories
                )
                return [Say(replace(menu, buttons=(*menu.buttons, *_each_button(asked))))]
            case e.EachRequested():
                return [BeginEach()]
            case e.EachFailed(sentence=sentence):
                return [Say(Post("notice", sid, sentence, seq, tone="failed"))]
            case e.RepositoryChosen(by=by) as chosen if by is not None or (before and before.asked):
                text = questions.repository_settled(chosen)
                steps: list[Step] = [Reword(Post("repository", sid, text, OPEN_QUESTION, tone="done"))]
                if chosen.former:
                    moved = words.moved(chosen, after)
                    steps.append(Say(Post("notice", sid, moved, seq)))
                return steps
            case e.WordsUnderstood() as understood if understood.meaning != "follow_up":
                return self._understood(before, understood, after, seq)
            case e.WordsWithdrawn() as withdrawn:
                return [Say(Post("notice", sid, words.withdrawn(withdrawn), seq))]
            case e.UpdatePosted(text=text):
                return [Say(Post("update", sid, text, seq, tone="working"))]
            case e.SandboxReady() as ready if before is not None and (ready.replaced or before.sandbox_lost):
                say = sandbox.replaced if ready.replaced else sandbox.restarted
                return [Say(Post("notice", sid, say(ready, before.sandbox_lost), seq))]
            case e.BudgetWarned(text=text):
                return [Say(Post("notice", sid, turns.budget_warned(text), seq))]
            case e.WorkHeldBack() as event:
                return [Say(Post("notice", sid, held_back.in_full(event), seq, tone="waiting"))]
            case e.PartDegraded(part="sandbox") as event:
                return [Say(Post("notice", sid, held_back.unsaved(event), seq, tone="failed"))]
            case e.QuestionAsked() as asked:
                return [Say(_question(sid, asked))]
            case e.QuestionAnswered(question_id=ref) as answer if before is not None and before.question:
                text = questions.settled(before.question, answer)
                return [Reword(Post("question", sid, text, ref, tone="done"))]
            case e.ApprovalRequested(approval_id=ref):
                return [Say(self._approval(sid, item)) for item in [after.approval(ref)] if item]
            case (
                e.ApprovalGiven(approval_id=ref)
                | e.ApprovalWithdrawn(approval_id=ref)
                | e.ApprovalRefused(approval_id=ref)
                | e.ApprovalVoided(approval_id=ref)
                | e.ApprovalUsed(approval_id=ref)
            ):
                return [Reword(self._approval(sid, item)) for item in [after.approval(ref)] if item]
            case e.TurnFinished() as finished:
                return [Say(self._answer(sid, finished, after))]
            case e.TurnFailed(cause=cause, advice=advice) | e.RoutingFailed(cause=cause, advice=advice):
                text = turns.failure(cause, advice, saved=after.saved)
                return [Say(self._failure(sid, seq, text, retry=True))]
            case e.MergeFailed(cause=cause, advice=advice):
                text = pull_requests.merge_failure(cause, advice)
                return [Say(self._failure(sid, seq, text, retry=False))]
            # One who stops it to move it is asked where to, or told: that is enough.
            case e.SessionStopped(by=by, turn_id=turn, halt=halt, moving=False):
                saved = turn is not None and after.saved
                text = turns.stopped(by.name, len(after.waiting_prompts), saved, halt)
                return [Say(Post("notice", sid, text, seq, tone="stopped"))]
            case e.PullRequestStateChanged(number=number, state="merged", by=login):
                return [Say(Post("notice", sid, pull_requests.merged(number, login), seq, tone="done"))]
            case e.PullRequestStateChanged(number=number, state="closed", by=login):
                return [Say(Post("notice", sid, pull_requests.closed(number, login), seq))]
            case _:
                return []

    def _understood(
        self, before: SessionView | None, event: e.WordsUnderstood, after: SessionView, seq: str
    ) -> list[Step]:
        text = words.understood(event, after)
        read = [p for p in (before.unread if before else ()) if p.id == event.prompt_id and p.message]
        marks = [Mark(prompt.message, SEEN, TAKEN) for prompt in read]
        if event.meaning == "move_repository" and not event.slug and not event.trouble:
            likely = after.repository.alternatives if after.repository else ()
            return [Say(repository_menu(after.id, text, likely, self.repositories)), *marks]
        if event.slug:
            return [*marks]
        return [Say(Post("notice", after.id, text, seq)), *marks]

    def _approval(self, sid: str, item: ApprovalView) -> Post:
        request, ref = item.request, item.request.approval_id
        text = approvals.asked(request)
        if item.state != "open":
            settled = approvals.settled(item)
            return Post("approval", sid, text, ref, footer=(settled,), tone="done")
        buttons: tuple[Button, ...] = (
            Button("approve", "✅ Approve", ref, request.digest, "primary"),
            Button("refuse", "🛑 No", ref, request.digest, "danger"),
        )
        if self.public_url:
            page = session_url(self.public_url, sid)
            buttons = (*buttons, Button("open_page", "Look at it", url=page))
        small = approvals.small_print(request)
        return Post("approval", sid, text, ref, footer=small, buttons=buttons, tone="waiting")

    def _answer(self, sid: str, finished: e.TurnFinished, after: SessionView) -> Post:
        if not finished.summary.strip():
            return self._failure(sid, finished.turn_id, turns.EMPTY_ANSWER, retry=False)
        text = finished.summary if not finished.evidence else f"{finished.summary}\n\n{finished.evidence}"
        if after.published is not None and after.pull_request is None:
            text = f"{text}\n\n{pull_requests.branch_only(after.published.branch, self.public_url)}"
        footer: list[str] = []
        if after.changes is not None and after.changes.files:
            footer.append(figures.changes(after.changes))
            if after.verification is not None:
                footer.append(figures.checks(after.verification))
        if after.turn is not None and after.turn.ended_at is not None:
            spent = (after.turn.ended_at - after.turn.started_at).total_seconds()
            footer.append(figures.time_and_cost(spent, after))
        links = self._links(after)
        return Post("answer", sid, text, finished.turn_id, footer=tuple(footer), buttons=links, tone="done")

    def _links(self, view: SessionView) -> tuple[Button, ...]:
        links: list[Button] = []
        if view.pull_request is not None:
            label = f"Pull request #{view.pull_request.number}"
            links.append(Button("open_page", label, url=view.pull_request.url, style="primary"))
        elif view.published is not None and view.published.compare_url:
            links.append(Button("open_page", "Open a pull request by hand", url=view.published.compare_url))
        if self.public_url:
            links.append(Button("open_page", "Open page", url=session_url(self.public_url, view.id)))
        return tuple(links)

    def _failure(self, sid: str, ref: str, text: str, *, retry: bool) -> Post:
        buttons: tuple[Button, ...] = (Button("retry", "Try again", style="primary"),) if retry else ()
        if self.public_url:
            buttons = (*buttons, Button("open_page", "Open page", url=session_url(self.public_url, sid)))
        return Post("failure", sid, text, ref, buttons=buttons, tone="failed")


def _heard(sid: str, seq: int, event: e.Event) -> list[Step]:
    """What voice clips were understood as, so that a mishearing is seen."""
    if not isinstance(event, e.PromptQueued):
        return []
    recordings = [item for item in event.prompt.attachments if item.text and is_clip(item.media_type)]
    return [
        Say(Post("notice", sid, clips.heard(item.text or ""), f"{seq}.heard.{number}"))
        for number, item in enumerate(recordings)
    ]


def repository_menu(
    session_id: str,
    text: str,
    candidates: Sequence[e.Candidate],
    repositories: Sequence[Choice],
    instead_of: str = "",
) -> Post:
    """Buttons for the likely repositories, and a menu of all of them.

    instead_of: the repository that the session has while it is asked; empty: none. A pick carries it back, so
    that of two people who pick at once the second is told.
    """
    likely = candidates[:5]
    picks = tuple(
        Button(
            "pick_repository", one_line(c.slug, 75), instead_of, c.slug, "primary" if number == 0 else "plain"
        )
        for number, c in enumerate(likely)
    )
    whys = tuple(
        one_line(f"{c.slug}: {c.reason or c.description}", 200) for c in likely if c.reason or c.description
    )
    menu = Menu("pick_repository", "Any other repository…", tuple(repositories), instead_of)
    return Post(
        kind="repository",
        session_id=session_id,
        text=text,
        ref=OPEN_QUESTION,
        footer=whys,
        buttons=picks,
        menu=menu if menu.choices else None,
        tone="waiting",
    )


def _each_button(asked: e.RepositoryAsked) -> tuple[Button, ...]:
    """The choice of all candidates, where they seem to be meant together."""
    return (Button("pick_each", EACH, value=together_digest(asked)),) if asked.together else ()


def _question(sid: str, asked: e.QuestionAsked) -> Post:
    options = tuple(
        Button("answer", one_line(option, 75), asked.question_id, str(index))
        for index, option in enumerate(asked.options)
    )
    footer = ("Pick one, or answer in your own words.",) if options else ("Answer in your own words.",)
    text = questions.question(asked)
    return Post("question", sid, text, asked.question_id, footer=footer, buttons=options, tone="waiting")


def _marks(before: SessionView | None, after: SessionView) -> list[Step]:
    """Under each request: seen until it is taken up (the first one: until it ends), then how it ended."""
    if before is None:
        return []
    marks: list[Step] = []
    for index, item in enumerate(after.prompts[: len(before.prompts)]):
        old = _mark(before.prompts[index].state, first=index == 0)
        new = _mark(item.state, first=index == 0)
        if item.prompt.message and old != new:
            # An answer without words is a failure, whatever the turn says of itself.
            new = FAILED if new == DONE and not after.answer.strip() else new
            # Seen may have been put there after the prompt was already taken up.
            marks.append(Mark(item.prompt.message, old or SEEN, new))
    return marks


def _mark(state: PromptState, *, first: bool) -> str | None:
    match state:
        case "waiting":
            return SEEN
        case "running":
            return SEEN if first else None
        case "done":
            return DONE
        case "failed":
            return FAILED
        case "stopped":
            return STOPPED
        case _:
            return None
