"""A request about several repositories: one session for each, when a person says so.

Each session is one like any other, with its own card, budget and pull request. The first repository stays in
the thread of the request; for every other the bot writes a message into the channel and works in its thread.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import replace

import structlog

from bot.counter import Counter
from bot.messages import Place, Post, Press
from bot.platforms.protocol import PlatformError
from bot.sentences import questions, refusals
from bot.thread_posts import together_digest
from session.inbox import AlreadyClaimed, Claim
from session.people import Person, Prompt
from session.refusals import NotNow
from session.view import SessionView

_log = structlog.get_logger(__name__)


class EachRepository:
    """Begins a session for each repository that a question offers."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._one_at_a_time = asyncio.Lock()

    async def begin(self, press: Press, person: Person, claim: Claim) -> None:
        """Every other repository has its session before this one settles on the first: until then the
        question stands, and pressed again it begins only what is missing.

        Raises: Refusal, AlreadyClaimed, NoSuchSession, DatabaseDown.
        """
        async with self._one_at_a_time:
            view = await self._counter.commands.check_pick(press.session_id, person)
            if view.asked is None or not view.asked.together or together_digest(view.asked) != press.value:
                raise NotNow(refusals.OLD_BUTTON)
            first, *others = (candidate.slug for candidate in view.asked.candidates)
            for slug in others:
                await self._begin_in(slug, view)
            await self._counter.commands.pick_repository(
                view.id, first, person, instead_of="", beside=tuple(others), claim=claim
            )

    async def _begin_in(self, slug: str, view: SessionView) -> None:
        prompt = _for_repository(view, slug)
        root = await self._root(slug, prompt.text, view)
        origin = view.origin.model_copy(update={"thread": root, "message": root})
        claim = self._counter.claim_event(f"each:{view.id}:{slug}")
        with suppress(AlreadyClaimed):
            await self._counter.commands.open_session(prompt, origin, claim=claim)

    async def _root(self, slug: str, request: str, view: SessionView) -> str:
        """The id of the message whose thread is to be that repository's. It is kept, so that it is written
        once even where the session could not be opened then."""
        platform, origin, ref = self._counter.platform, view.origin, f"each:{slug}"
        written = await self._counter.messages.find(view.id, "notice", ref, platform=platform.name)
        if written is not None:
            return written.message_id
        request_at = Place(origin.workspace, origin.channel, origin.thread)
        channel = replace(request_at, thread="")
        key = f"chat:{platform.name}:{view.id}:{ref}"
        try:
            link = await platform.permalink(request_at, origin.message) if origin.message else None
            text = questions.begun_for(slug, request, view.requester.name, link)
            root = await platform.post(channel, Post("notice", view.id, text, ref), key)
        except PlatformError as error:
            _log.warning("chat.no_thread_begun", session_id=view.id, repository=slug, detail=str(error))
            raise NotNow(questions.no_thread_for(slug)) from error
        await self._counter.messages.remember(platform.name, origin.channel, root, view.id, "notice", ref)
        return root


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
