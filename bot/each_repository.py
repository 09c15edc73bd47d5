"""Where a request is about several repositories and somebody wants a session for each: their threads.

The first repository stays in the thread of the request; for every other the bot writes a message into the
channel, and a session begins in its thread.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from bot.messages import Place, Post
from bot.platforms.protocol import Platform, PlatformError
from bot.sentences import questions
from session.commands import Commands
from session.messages import ChatMessages
from session.people import Origin, Prompt
from session.refusals import NotNow, Refusal
from session.view import SessionView

_log = structlog.get_logger(__name__)


class EachRepository:
    """Begins a session for each repository that a question offers, once it is on record that a person wants
    them. A session's feed alone calls it, so one at a time."""

    def __init__(self, platform: Platform, commands: Commands, messages: ChatMessages) -> None:
        self._platform = platform
        self._commands = commands
        self._messages = messages

    async def begin(self, view: SessionView) -> None:
        """They have begun, or the record says why not. `view`: the session as it is now; where nobody waits
        for them any more nothing is done.

        Emits: RepositoryChosen, and what begins the other sessions; or EachFailed. Raises: DatabaseDown.
        """
        if view.each_by is None or view.asked is None:
            return
        first = view.asked.candidates[0].slug

        async def origin_of(slug: str, prompt: Prompt) -> Origin:
            root = await self._root(slug, prompt.text, first, view)
            return view.origin.model_copy(update={"thread": root, "message": root})

        try:
            await self._commands.begin_each(view.id, view.each_by, origin_of)
        except Refusal as refusal:
            await self._commands.fail_each(view.id, refusal.sentence)

    async def _root(self, slug: str, request: str, first: str, view: SessionView) -> str:
        """The id of the message whose thread is to be that repository's. It is kept, so that it is written
        once even where the session could not be opened then."""
        platform, origin, ref = self._platform, view.origin, f"each:{slug}"
        written = await self._messages.find(view.id, "notice", ref, platform=platform.name)
        if written is not None:
            return written.message_id
        request_at = Place(origin.workspace, origin.channel, origin.thread)
        channel = replace(request_at, thread="")
        key = f"chat:{platform.name}:{view.id}:{ref}"
        try:
            link = await platform.permalink(request_at, origin.message) if origin.message else None
            text = questions.begun_for(slug, request, view.requester.name, first, link)
            root = await platform.post(channel, Post("notice", view.id, text, ref), key)
        except PlatformError as error:
            _log.warning("chat.no_thread_begun", session_id=view.id, repository=slug, detail=str(error))
            raise NotNow(questions.no_thread_for(slug)) from error
        await self._messages.remember(platform.name, origin.channel, root, view.id, "notice", ref)
        return root
