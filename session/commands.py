"""Commands: everything people (and their machines) can ask of a session, imperative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from session.catalogue import Catalogue
from session.directory import Directory
from session.events import PullRequestState, RepositoryAsked, RepositoryChosen
from session.inbox import Claim
from session.leases import Leases
from session.log import Log
from session.people import Origin, Person, Prompt
from session.queue import Queue
from session.view import SessionView


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a prompt: it waits ("queued"), its turn is on the way ("started"), it answered the
    agent's question ("answered"), it asked for changes to what was to be approved ("changes_asked"), or the
    repository is worked out with it ("routing")."""

    view: SessionView
    how: Literal["queued", "started", "answered", "changes_asked", "routing"]


class Commands:
    """Carries commands out: checks rights, appends events, rings for a worker.

    Every command raises Refusal (with the sentence to show) when it will not be done, and AlreadyClaimed when
    its claim was taken before; callers stay silent then. A command said twice does no harm.
    """

    def __init__(
        self, log: Log, queue: Queue, directory: Directory, leases: Leases, catalogue: Catalogue
    ) -> None:
        raise NotImplementedError

    async def open_session(
        self, prompt: Prompt, origin: Origin, *, claim: Claim | None = None
    ) -> SessionView:
        """The new session, its first prompt in line, routing under way.

        Emits: SessionOpened, PromptQueued.
        """
        raise NotImplementedError

    async def add_prompt(self, session_id: str, prompt: Prompt, *, claim: Claim | None = None) -> Accepted:
        """What became of a follow-up. Emits: PromptQueued, or QuestionAnswered, or ApprovalVoided first."""
        raise NotImplementedError

    async def edit_prompt(self, session_id: str, prompt_id: str, text: str, by: Person) -> SessionView:
        """Reword a waiting prompt. Emits: PromptEdited."""
        raise NotImplementedError

    async def cancel_prompt(self, session_id: str, prompt_id: str, by: Person) -> SessionView:
        """Take a waiting prompt back. Emits: PromptCancelled."""
        raise NotImplementedError

    async def steer_prompt(self, session_id: str, prompt_id: str, by: Person) -> SessionView:
        """Have a waiting prompt handed to the agent at its next step. Emits: SteerRequested."""
        raise NotImplementedError

    async def choose_repository(self, session_id: str, chosen: RepositoryChosen) -> SessionView:
        """Routing found the repository; ignored when the session no longer routes."""
        raise NotImplementedError

    async def ask_repository(self, session_id: str, asked: RepositoryAsked) -> SessionView:
        """Routing could not tell; ignored when the session no longer routes."""
        raise NotImplementedError

    async def fail_routing(self, session_id: str, cause: str, advice: str) -> SessionView:
        """Routing failed; ignored when the session no longer routes. Emits: RoutingFailed."""
        raise NotImplementedError

    async def pick_repository(
        self, session_id: str, slug: str, by: Person, *, claim: Claim | None = None
    ) -> SessionView:
        """A person says which repository is meant. Emits: RepositoryChosen."""
        raise NotImplementedError

    async def approve(
        self,
        session_id: str,
        approval_id: str,
        by: Person,
        *,
        digest: str | None = None,
        claim: Claim | None = None,
    ) -> SessionView:
        """Yes to exactly what was shown. digest: of what the person saw, when the surface knows it.

        Emits: ApprovalGiven; ApprovalVoided when its time ran out or what it showed changed (then raises).
        """
        raise NotImplementedError

    async def refuse(
        self, session_id: str, approval_id: str, by: Person, *, claim: Claim | None = None
    ) -> SessionView:
        """No to what was shown. Emits: ApprovalRefused."""
        raise NotImplementedError

    async def withdraw(
        self, session_id: str, approval_id: str, by: Person, *, claim: Claim | None = None
    ) -> SessionView:
        """Take an own yes back before it took effect. Emits: ApprovalWithdrawn."""
        raise NotImplementedError

    async def answer_question(
        self, session_id: str, question_id: str, text: str, by: Person, *, claim: Claim | None = None
    ) -> SessionView:
        """Answer what the agent asked. Emits: QuestionAnswered."""
        raise NotImplementedError

    async def stop(self, session_id: str, by: Person, *, claim: Claim | None = None) -> SessionView:
        """Stop what runs; prompts in line are kept. Emits: SessionStopped, or StopRequested."""
        raise NotImplementedError

    async def retry(self, session_id: str, by: Person, *, claim: Claim | None = None) -> SessionView:
        """Try the last prompt again. Emits: RetryRequested."""
        raise NotImplementedError

    async def archive(self, session_id: str, by: Person, *, claim: Claim | None = None) -> SessionView:
        """Close the session for good. Emits: PromptCancelled, SessionArchived."""
        raise NotImplementedError

    async def give_feedback(
        self, session_id: str, verdict: Literal["good", "bad"], by: Person, *, claim: Claim | None = None
    ) -> SessionView:
        """Say whether the answer was good. Emits: FeedbackGiven."""
        raise NotImplementedError

    async def record_pull_request_state(
        self, slug: str, number: int, state: PullRequestState, by_login: str, *, claim: Claim | None = None
    ) -> SessionView | None:
        """The forge says what became of a pull request; None when it is none of ours.

        Emits: PullRequestStateChanged; ApprovalVoided for merges that are moot.
        """
        raise NotImplementedError
