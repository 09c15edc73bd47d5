"""Commands around the repository: routing's outcomes, and people's picks."""

from __future__ import annotations

import asyncio

from session import access
from session.catalogue import Repository, UnknownRepository
from session.desk import Desk, unknown_session
from session.events import Event, RepositoryAsked, RepositoryChosen, RetryRequested
from session.inbox import Claim
from session.log import NoSuchSession
from session.people import Person
from session.refusals import Changed, NotFound, NotNow
from session.view import SessionView

# Platforms wait three seconds for an answer to a press.
_LOOKS, _LOOK_AGAIN_SECONDS = 25, 0.1


class RepositoryCommands(Desk):
    """Commands around the repository."""

    async def choose_repository(self, session_id: str, chosen: RepositoryChosen) -> SessionView:
        """Routing found the repository; ignored when the session no longer routes."""
        return await self._routed(session_id, chosen)

    async def ask_repository(self, session_id: str, asked: RepositoryAsked) -> SessionView:
        """Routing could not tell; ignored when the session no longer routes."""
        return await self._routed(session_id, asked)

    async def check_pick(self, session_id: str, by: Person) -> SessionView:
        """The session, for which the person may pick another repository. Raises: Refusal."""
        actor = await self._actor(by)
        view = await self._seen(session_id)
        access.may_pick(actor, view)
        check_movable(view)
        return view

    async def _seen(self, session_id: str) -> SessionView:
        try:
            return await self._log.view(session_id)
        except NoSuchSession as error:
            raise unknown_session() from error

    async def pick_repository(
        self,
        session_id: str,
        slug: str,
        by: Person,
        *,
        instead_of: str | None = None,
        beside: tuple[str, ...] = (),
        beside_sessions: tuple[str, ...] = (),
        claim: Claim | None = None,
    ) -> SessionView:
        """A person says which repository is meant. Work in another one that was just stopped is saved first.

        Emits: RepositoryChosen; RetryRequested after a stop.

        instead_of: the session's repository as the person saw it, empty for none; whoever picks from the same
        question later is told what was picked. None: whatever it is now. beside: the repositories in which
        other sessions do the same, and beside_sessions their ids, in that order.
        """
        actor = await self._actor(by)
        await self._let_go(session_id)
        try:
            repository = self._catalogue.get(slug)
        except UnknownRepository as error:
            raise NotFound(error.sentence) from error
        branch = await self.starting_branch(await self._seen(session_id), repository)

        def decide(view: SessionView) -> list[Event]:
            access.may_pick(actor, view)
            if view.repository is not None and view.repository.slug == repository.slug:
                return []
            _check_unpicked(view, instead_of)
            check_movable(view)
            if view.turn_open:
                raise NotNow(
                    f"I am already at work in {_here(view)}. Stop me with 🛑 first, then pick again."
                )
            return moved(view, repository, by, branch, beside, beside_sessions)

        return await self._record(session_id, decide, claim)

    async def starting_branch(self, view: SessionView, repository: Repository) -> str:
        """Where work in that repository starts from: what the request says, what its author prefers, or the
        repository's default."""
        said = [item.prompt.branch for item in view.waiting_prompts if item.prompt.branch]
        preferred = (await self._preferred(view.requester)).branch(repository.slug)
        return said[-1] if said else preferred or repository.default_branch

    async def _let_go(self, session_id: str) -> None:
        """Wait a little until the worker of a stopped turn has saved its work, which belongs to the former
        repository. Raises: NotNow, when that takes long."""
        for _ in range(_LOOKS):
            view = await self._seen(session_id)
            if view.turn_open or not view.turns or not await self._leases.held(session_id):
                return
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        raise NotNow("I am still saving the work so far. Please pick again in a moment.")

    async def _routed(self, session_id: str, outcome: Event) -> SessionView:
        return await self._record(session_id, lambda view: [outcome] if view.state == "routing" else [], None)


def _check_unpicked(view: SessionView, instead_of: str | None) -> None:
    now = view.repository.slug if view.repository else ""
    if instead_of is None or now == instead_of:
        return
    by = view.repository.by if view.repository else None
    settled = f"{by.name} has picked {now}" if by else f"I have settled on {now}"
    raise Changed(f"{settled} in the meantime. If that is wrong, use “Wrong repository?” on the card.")


def check_movable(view: SessionView) -> None:
    """Let a session pass that another repository may be chosen for. Raises: NotNow."""
    if view.archived:
        raise NotNow("This session is archived. Mention me in a new message and I will start a fresh one.")
    if view.pull_request is not None:
        raise NotNow(
            f"Pull request #{view.pull_request.number} of this session is in {_here(view)} already. "
            "Mention me in a new message for work in a different repository."
        )
    if view.published is not None:
        raise NotNow(
            f"This session already has a branch in {_here(view)}. "
            "Mention me in a new message for work in a different repository."
        )


def moved(
    view: SessionView,
    repository: Repository,
    by: Person,
    branch: str = "",
    beside: tuple[str, ...] = (),
    beside_sessions: tuple[str, ...] = (),
) -> list[Event]:
    """The session goes on in that repository, with what it was asked for there. No turn is open.

    branch: where it starts from; empty for the repository's default. beside: where others do the same,
    and beside_sessions their ids.
    """
    before = view.repository
    chosen = RepositoryChosen(
        slug=repository.slug,
        branch=branch or repository.default_branch,
        how="picked",
        reason=f"{by.name} picked it",
        by=by,
        dropped=left_behind(view),
        former=before.slug if before and before.slug != repository.slug else "",
        beside=beside,
        beside_sessions=beside_sessions,
    )
    waiting = view.waiting_prompts or [item for item in view.prompts if item.state != "cancelled"][-1:]
    if view.state in ("stopped", "failed", "idle") and waiting:
        return [chosen, RetryRequested(by=by, prompt_id=waiting[0].prompt.id)]
    return [chosen]


def left_behind(view: SessionView) -> tuple[str, ...]:
    """What a move leaves behind in the repository that the session was in, in words."""
    left = []
    if view.changes is not None and view.changes.files:
        files = "1 file" if view.changes.files == 1 else f"{view.changes.files} files"
        change = f"+{view.changes.insertions} −{view.changes.deletions}"
        left.append(f"the changes in {files} ({change}), up to commit {view.changes.head_sha[:7]}")
    if view.turns and not left:
        left.append("whatever was changed in the workspace")
    if view.plan:
        left.append("the plan")
    return tuple(left)


def _here(view: SessionView) -> str:
    return view.repository.slug if view.repository else "another repository"
