"""A request about several repositories: one session for each, when a person says so.

Each is a session like any other, with a budget and a pull request of its own. The first repository stays with
the session that asked.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from hashlib import sha256

from session import access
from session.events import BegunWith, EachFailed, EachRequested, Event, RepositoryAsked
from session.inbox import AlreadyClaimed, Claim
from session.people import Origin, Person, Prompt
from session.prompting import PromptCommands
from session.refusals import NotNow
from session.repository_choice import RepositoryCommands, check_movable
from session.view import SessionView

EACH = "Each of them"
"""What the choice is called, wherever it is offered."""

OLD_QUESTION = "That question has changed since. Look at the newest one, and choose again."

OriginOf = Callable[[str, Prompt], Awaitable[Origin]]
"""Where the session for that repository is to live, which begins with that prompt; asked again, the same."""


class EachCommands(PromptCommands, RepositoryCommands):
    """Commands around a request that is about several repositories."""

    async def request_each(
        self, session_id: str, shown: str, by: Person, *, claim: Claim | None = None
    ) -> SessionView:
        """A session for each repository that the question offers. In chat each has a thread, so there whoever
        tells the thread begins them; on the page they begin at once.

        shown: the digest of the repositories as the person saw them. Emits: EachRequested; or on the page
        what `begin_each` does.
        """
        view = await self.check_pick(session_id, by)
        if view.origin.platform == "web":
            _check_shown(view, shown)
            return await self._begin_all(view, by, _same(view.origin), claim)
        actor = await self._actor(by)

        def decide(view: SessionView) -> list[Event]:
            access.may_pick(actor, view)
            check_movable(view)
            _check_shown(view, shown)
            return [] if view.each_by is not None else [EachRequested(by=by)]

        return await self._record(session_id, decide, claim)

    async def begin_each(
        self, session_id: str, by: Person, origin_of: OriginOf, *, claim: Claim | None = None
    ) -> SessionView:
        """Every other repository has its session before this one settles on the first: until then the
        question stands, and asked again only what is missing begins.

        Emits: RepositoryChosen, and what begins the other sessions.
        """
        return await self._begin_all(await self.check_pick(session_id, by), by, origin_of, claim)

    async def _begin_all(
        self, view: SessionView, by: Person, origin_of: OriginOf, claim: Claim | None
    ) -> SessionView:
        first, *others = (candidate.slug for candidate in _several_asked(view).candidates)
        begun_with = BegunWith(session_id=view.id, slug=first)
        begun = [await self._begin(slug, view, begun_with, origin_of) for slug in others]
        return await self.pick_repository(
            view.id, first, by, instead_of="", beside=tuple(others), beside_sessions=tuple(begun), claim=claim
        )

    async def fail_each(self, session_id: str, sentence: str) -> SessionView:
        """They could not all begin; the question stands. Emits: EachFailed, while they are waited for."""
        failed = EachFailed(sentence=sentence)
        return await self._record(session_id, lambda view: [failed] if view.each_by else [], None)

    async def _begin(self, slug: str, view: SessionView, begun_with: BegunWith, origin_of: OriginOf) -> str:
        """The id of the session for that repository, begun now or by an earlier try."""
        prompt = _for_repository(view, slug)
        claim = Claim(source=view.origin.platform, event_id=f"each:{view.id}:{slug}")
        try:
            origin = await origin_of(slug, prompt)
            return (await self.open_session(prompt, origin, begun_with=begun_with, claim=claim)).id
        except AlreadyClaimed as begun:
            return begun.session_id


def together_digest(asked: RepositoryAsked) -> str:
    """Ties a press to the repositories that were shown; short, since there is little room in a button."""
    return sha256("\n".join(c.slug for c in asked.candidates).encode()).hexdigest()[:12]


def what_each_means(origin: Origin) -> str:
    """The sentence that stands beside the choice."""
    others = "" if origin.platform == "web" else "; the others get threads of their own"
    return f"“{EACH}” begins one session a repository{others}."


def _check_shown(view: SessionView, shown: str) -> None:
    if together_digest(_several_asked(view)) != shown:
        raise NotNow(OLD_QUESTION)


def _several_asked(view: SessionView) -> RepositoryAsked:
    if view.state != "awaiting_repository" or view.asked is None or not view.asked.together:
        raise NotNow(OLD_QUESTION)
    return view.asked


def _same(origin: Origin) -> OriginOf:
    async def origin_of(slug: str, prompt: Prompt) -> Origin:
        return origin

    return origin_of


def _for_repository(view: SessionView, slug: str) -> Prompt:
    """All that was asked for so far, as one prompt for that repository."""
    asked = [item.prompt for item in view.waiting_prompts]
    return asked[0].model_copy(
        update={
            "id": secrets.token_hex(8),
            "text": "\n\n".join(prompt.text for prompt in asked if prompt.text),
            "attachments": tuple(file for prompt in asked for file in prompt.attachments),
            "message": "",
            "repository": slug,
        }
    )
