"""Commands of plain words: what a short message was taken for is done, in one step with saying so."""

from __future__ import annotations

from dataclasses import dataclass, replace

from session import access
from session.access import Actor
from session.catalogue import UnknownRepository
from session.desk import Desk
from session.events import (
    Event,
    PromptQueued,
    RetryRequested,
    WordsUnderstood,
    WordsWithdrawn,
)
from session.inbox import Claim
from session.log import Conflict
from session.people import Person, Prompt
from session.prompting import as_written, with_model
from session.refusals import NotFound, NotNow, Refusal
from session.repository_choice import check_movable, moved
from session.stopping import stopping
from session.understood import Meaning
from session.view import SessionView


@dataclass(frozen=True, slots=True)
class Wish:
    """What a message asks for. `model` is the model to go on with and `former` the one until now; `slug` the
    repository to go on in, empty where nobody can tell, and `branch` where from, empty for its default;
    `trouble` why it cannot be granted, in words."""

    meaning: Meaning
    model: str = ""
    former: str = ""
    slug: str = ""
    branch: str = ""
    trouble: str = ""


class WordCommands(Desk):
    """Commands of plain words."""

    async def understand(self, session_id: str, prompt_id: str, wish: Wish) -> SessionView:
        """The message has been read. What its author wishes for is done as far as they may. A move stops a
        turn that is open first: until its worker has let go, the message stays unread, and this is called
        again.

        Emits: WordsUnderstood, with what follows from it; of a move that waits for a stop only the stop.
        Raises: NoSuchSession, DatabaseDown.
        """
        while True:
            view = await self._log.view(session_id)
            prompt = next((item for item in view.unread if item.id == prompt_id), None)
            if prompt is None or view.archived:
                return view
            actor = await self._actor(prompt.author)
            preferred = await self._preferred(prompt.author)
            wish = replace(wish, branch=prompt.branch or preferred.branch(wish.slug) or "")
            # Asked anew after each conflict: the other writer may be a worker that has just begun.
            worked_on = await self._leases.held(session_id)
            try:
                events = self._granted(view, prompt, wish, actor, worked_on=worked_on, model=preferred.model)
            except Refusal as refusal:
                events = [_understood(prompt, wish, trouble=refusal.sentence)]
            try:
                if events:
                    await self._log.append(session_id, events, expected_seq=view.seq)
            except Conflict:
                continue
            view = await self._log.view(session_id)
            if prompt not in view.unread:  # else whoever reads it comes back to it: nobody else is rung for
                await self._drive(view)
            return view

    def _granted(
        self,
        view: SessionView,
        prompt: Prompt,
        wish: Wish,
        actor: Actor,
        *,
        worked_on: bool,
        model: str | None,
    ) -> list[Event]:
        """What happens; `model` is the one that the author prefers. Raises: Refusal."""
        author = prompt.author
        access.may_prompt(actor)
        if wish.meaning == "follow_up":
            return as_written(view, with_model(prompt, view, model))
        if wish.trouble:
            return [_understood(prompt, wish, trouble=wish.trouble)]
        if wish.meaning == "stop":
            access.may_stop(actor, view)
            stops = stopping(view, author, worked_on=worked_on)
            if not stops and view.stop_requested is None:
                raise NotNow("Nothing is running here, so there was nothing to stop.")
            return [_understood(prompt, wish), *stops]
        if wish.meaning == "move_repository":
            return self._move(view, prompt, wish, actor, worked_on=worked_on)
        return [_understood(prompt, wish)]

    def _move(
        self, view: SessionView, prompt: Prompt, wish: Wish, actor: Actor, *, worked_on: bool
    ) -> list[Event]:
        access.may_pick(actor, view)
        check_movable(view)
        if view.turn_open:
            return stopping(view, prompt.author, worked_on=worked_on, moving=True)
        if worked_on:  # it still saves what was done in the former repository
            return []
        if not wish.slug:
            return [_understood(prompt, wish)]
        try:
            repository = self._catalogue.get(wish.slug)
        except UnknownRepository as error:
            raise NotFound(error.sentence) from error
        if view.repository is not None and view.repository.slug == repository.slug:
            raise NotNow(f"I am in {repository.slug} already.")
        events = moved(view, repository, prompt.author, wish.branch)
        if prompt.text and prompt.repository:  # `!repo` before a request: that is what is to be done there
            return [_understood(prompt, wish), events[0], PromptQueued(prompt=prompt)]
        return [_understood(prompt, wish), *events]

    async def withdraw_words(self, session_id: str, by: Person, *, claim: Claim | None = None) -> SessionView:
        """Somebody said "undo": what the last message did is taken back, and the message becomes a request.

        Emits: WordsWithdrawn and PromptQueued, with what leads back; nothing where no message did anything.
        Raises: Refusal.
        """
        actor = await self._actor(by)

        def decide(view: SessionView) -> list[Event]:
            return self._taken_back(view, by, actor) if view.words is not None and not view.archived else []

        return await self._record(session_id, decide, claim)

    def _taken_back(self, view: SessionView, by: Person, actor: Actor) -> list[Event]:
        assert view.words is not None
        words, understood = view.words.prompt, view.words.understood
        access.may_change_prompt(actor, words.author)
        # A directive alone has no words to work on, and what came with `!repo` is a request already.
        request = bool(words.text) and view.prompt(words.id) is None
        withdrawn = WordsWithdrawn(prompt_id=words.id, by=by, former=understood.former, is_request=request)
        back: list[Event] = [withdrawn]
        if understood.slug and understood.former:
            check_movable(view)
            if view.turn_open:
                raise NotNow(f"I am at work in {understood.slug}. Stop me with 🛑 first, then say it again.")
            back += moved(view, self._catalogue.get(understood.former), by)
        ended = [item for item in view.prompts if item.state == "stopped"]
        if understood.meaning == "stop" and view.state == "stopped" and ended:
            back.append(RetryRequested(by=by, prompt_id=ended[-1].prompt.id))
        return [*back, PromptQueued(prompt=words)] if request else back


def _understood(prompt: Prompt, wish: Wish, *, trouble: str = "") -> WordsUnderstood:
    return WordsUnderstood(
        prompt_id=prompt.id,
        meaning=wish.meaning,
        by=prompt.author,
        text=prompt.text,
        model="" if trouble else wish.model,
        slug="" if trouble else wish.slug,
        former=wish.former,
        trouble=trouble,
    )
