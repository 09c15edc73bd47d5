"""Reactions and buttons: people decide about a session, or start one from a message."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bot import sentences
from bot.counter import Counter
from bot.messages import Press, Reaction
from bot.platforms.protocol import PlaceGone
from bot.reactions import Intent
from bot.requests import Requests
from bot.thread_posts import repository_menu
from session.inbox import Claim
from session.messages import ChatMessageRow
from session.people import Person, ThreadLine
from session.refusals import NotAllowed, NotFound, NotNow

_LOOKS = 10
_LOOK_AGAIN_SECONDS = 0.1


class Decisions:
    """Carries out what a reaction or a button says, when the person may.

    Its methods raise Refusal, AlreadyClaimed, NoSuchSession, PlatformError and DatabaseDown.
    """

    def __init__(self, counter: Counter, requests: Requests) -> None:
        self._counter = counter
        self._requests = requests

    async def reacted(self, reaction: Reaction) -> None:
        """What the reaction table says."""
        if self._counter.reactions.meaning(reaction.emoji) is None:
            return
        row = await self._row(reaction)
        session_id = row.session_id if row else await self._session_begun_by(reaction)
        kind = row.kind if row else ("request" if session_id else None)
        intent = self._counter.reactions.intent(reaction.emoji, kind, added=reaction.added)
        if intent is None:
            return
        if reaction.author.guest:
            raise NotAllowed(sentences.refusals.GUEST)
        if session_id is None:
            await self._start_from(reaction)
        else:
            await self._do(intent, session_id, row.ref if row else "", reaction)

    async def thread_of(self, reaction: Reaction) -> str:
        """The thread in which to answer the person; empty when the message belongs to no session."""
        row = await self._counter.messages.by_message(
            self._counter.platform.name, reaction.channel, reaction.message
        )
        if row is None:
            return reaction.thread
        return (await self._counter.log.view(row.session_id)).origin.thread

    async def _row(self, reaction: Reaction) -> ChatMessageRow | None:
        """What the message stands for. Somebody quick can react before the feed wrote down what it sent."""
        for _ in range(_LOOKS if reaction.on_bot else 1):
            row = await self._counter.messages.by_message(
                self._counter.platform.name, reaction.channel, reaction.message
            )
            if row is not None:
                return row
            if reaction.on_bot:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        return None

    async def _session_begun_by(self, reaction: Reaction) -> str | None:
        return await self._counter.session_in(replace(reaction.place, thread=reaction.message))

    async def _do(self, intent: Intent, session_id: str, ref: str, reaction: Reaction) -> None:
        commands = self._counter.commands
        person = await self._counter.directory.resolve(reaction.author)
        claim = self._counter.claim_event(reaction.event_id)
        match intent:
            case "approve":
                await commands.approve(session_id, ref, person, claim=claim)
            case "withdraw":
                await self._withdraw(session_id, ref, person, claim)
            case "refuse":
                await commands.refuse(session_id, ref, person, claim=claim)
            case "stop":
                await commands.stop(session_id, person, claim=claim)
            case "retry":
                await commands.retry(session_id, person, claim=claim)
            case "good" | "bad":
                await commands.give_feedback(session_id, intent, person, claim=claim)
                thanks = sentences.turns.THANKS_GOOD if intent == "good" else sentences.turns.THANKS_BAD
                place = replace(reaction.place, thread=await self.thread_of(reaction))
                await self._counter.tell(place, reaction.author, thanks)
            case "fork":
                raise NotNow(sentences.refusals.NO_FORK_YET)
            case "start":
                raise NotNow(sentences.refusals.ALREADY_HERE)

    async def _withdraw(self, session_id: str, approval_id: str, person: Person, claim: Claim) -> None:
        """Taking an emoji away means something only where it was this person's yes."""
        item = (await self._counter.log.view(session_id)).approval(approval_id)
        if item is not None and item.state == "given":
            await self._counter.commands.withdraw(session_id, approval_id, person, claim=claim)

    async def _start_from(self, reaction: Reaction) -> None:
        """🛎️ under any message: that message is the request, its thread the context, the reactor asks."""
        try:
            found = await self._counter.platform.fetch(reaction.place, reaction.message)
        except PlaceGone as error:
            raise NotNow(sentences.refusals.NOT_IN_CHANNEL) from error
        if found is None:
            raise NotFound(sentences.refusals.MESSAGE_GONE)
        if not found.text.strip() and not found.attachments and not found.clips:
            raise NotNow(sentences.refusals.NOTHING_TO_START)
        own = found.author.account == reaction.author.account
        wrote = () if own else (ThreadLine(author=found.author.name, text=found.text),)
        request = replace(
            found, author=reaction.author, context=(*found.context, *wrote), starts_thread=False
        )
        await self._requests.take(await self._counter.session_in(request.place), request)

    async def pressed(self, press: Press) -> None:
        """What the button says."""
        if press.author.guest:
            raise NotAllowed(sentences.refusals.GUEST)
        commands, session_id = self._counter.commands, press.session_id
        person = await self._counter.directory.resolve(press.author)
        claim = self._counter.claim_event(press.event_id)
        match press.action:
            case "approve":
                digest = press.value or None
                await commands.approve(session_id, press.ref, person, digest=digest, claim=claim)
            case "refuse":
                await commands.refuse(session_id, press.ref, person, claim=claim)
            case "stop":
                await commands.stop(session_id, person, claim=claim)
            case "retry":
                await commands.retry(session_id, person, claim=claim)
            case "answer":
                await self._answer(press, person, claim)
            case "pick_repository":
                await commands.pick_repository(
                    session_id, press.value, person, instead_of=press.ref, claim=claim
                )
            case "pick_each":
                await commands.request_each(session_id, press.value, person, claim=claim)
            case "wrong_repository":
                await self._wrong_repository(press, person, claim)
            case "open_page":
                return

    async def _answer(self, press: Press, person: Person, claim: Claim) -> None:
        question = (await self._counter.log.view(press.session_id)).question
        number = int(press.value) if press.value.isdecimal() else -1
        if question is None or question.question_id != press.ref:
            raise NotNow(sentences.refusals.OLD_BUTTON)
        if not 0 <= number < len(question.options):
            raise NotNow(sentences.refusals.OLD_BUTTON)
        text = question.options[number]
        await self._counter.commands.answer_question(press.session_id, press.ref, text, person, claim=claim)

    async def _wrong_repository(self, press: Press, person: Person, claim: Claim) -> None:
        """Whatever runs is stopped; the menu of repositories comes, and a pick starts the work anew."""
        view = await self._counter.commands.check_pick(press.session_id, person)
        if view.turn_open:
            await self._counter.commands.stop(press.session_id, person, moving=True, claim=claim)
        candidates = view.repository.alternatives if view.repository else ()
        menu = repository_menu(
            press.session_id,
            sentences.questions.WRONG_REPOSITORY,
            candidates,
            self._counter.repositories,
            instead_of=view.repository.slug if view.repository else "",
        )
        platform = self._counter.platform
        key = f"chat:{platform.name}:{press.session_id}:menu:{press.event_id}"
        message = await platform.post(press.place, menu, key)
        await self._counter.messages.remember(
            platform.name, press.channel, message, press.session_id, menu.kind, menu.ref
        )
