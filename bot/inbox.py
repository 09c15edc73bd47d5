"""What people do in chat becomes commands: messages, reactions and buttons of one platform."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace

import structlog

from bot import sentences
from bot.follow_ups import is_follow_up
from bot.messages import SEEN, TAKEN, ChatMessage, Choice, Place, Press, Reaction
from bot.platforms.protocol import Platform, PlatformError
from bot.reactions import Intent, ReactionTable
from bot.wording import Wording, is_stop, read_wording
from session.commands import Commands
from session.database import DatabaseDown
from session.directory import Directory
from session.inbox import AlreadyClaimed, Claim
from session.log import Log, NoSuchSession
from session.messages import ChatMessageRow, ChatMessages
from session.people import Identity, Origin, Person, Prompt, ThreadLine
from session.refusals import NotAllowed, NotFound, NotNow, Refusal

CONTEXT_MESSAGES = 50
"""How much of a thread is handed on with a request; older messages are on the platform still."""

_RECENT_MESSAGES = 20
_LOOKS = 10
_LOOK_AGAIN_SECONDS = 0.1

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """The rooms behind the inbox: what it looks things up in and hands commands to.

    `repositories` are those that may be picked; `mentions_required` makes a mention mandatory in threads.
    """

    log: Log
    commands: Commands
    directory: Directory
    messages: ChatMessages
    reactions: ReactionTable
    repositories: Sequence[Choice]
    mentions_required: bool = False


class ChatInbox:
    """The inbox of one platform: everything that comes in ends in a command, in a sentence, or in silence
    because it was not meant for the bot. Nothing raises; what goes wrong is said to the person who did it."""

    def __init__(self, platform: Platform, desk: Desk) -> None:
        self._platform = platform
        self._desk = desk

    async def on_message(self, message: ChatMessage) -> None:
        """A request, a follow-up, or nothing for us.

        Emits (through commands): SessionOpened and PromptQueued, or what a follow-up causes.
        """
        await self._edge(self._message(message), message.place, message.author)

    async def knows(self, place: Place) -> bool:
        """Whether a session lives in that thread."""
        return await self._session_in(place) is not None

    async def on_reaction(self, reaction: Reaction) -> None:
        """What the reaction table says, when the person may."""
        await self._edge(self._reaction(reaction), reaction.place, reaction.author)

    async def on_press(self, press: Press) -> None:
        """What the button says, when the person may."""
        await self._edge(self._press(press), press.place, press.author)

    async def _edge(self, work: Awaitable[None], place: Place, author: Identity) -> None:
        try:
            await work
        except AlreadyClaimed as known:
            _log.debug("chat.duplicate", session_id=known.session_id, detail=str(known))
        except Refusal as refusal:
            await self._tell(place, author, refusal.sentence)
        except NoSuchSession:
            await self._tell(place, author, sentences.GONE)
        except DatabaseDown:
            _log.exception("chat.database_down")
            await self._tell(place, author, sentences.DATABASE_DOWN)
        except Exception:  # noqa: BLE001 - the edge of a delivery: it becomes a sentence and a log line
            code = secrets.token_hex(4)
            _log.exception("chat.unexpected", code=code, platform=self._platform.name)
            await self._tell(place, author, sentences.unexpected(code))

    async def _tell(self, place: Place, author: Identity, text: str) -> None:
        try:
            await self._platform.tell(place, author.account, text)
        except PlatformError as error:
            _log.warning("chat.cannot_tell", platform=self._platform.name, detail=str(error), text=text)

    # Messages

    async def _message(self, message: ChatMessage) -> None:
        addressed = message.mentions_bot or message.is_direct
        if message.starts_thread and not addressed:
            return
        session_id = None if message.starts_thread else await self._session_in(message.place)
        if not addressed and (session_id is None or not await self._follows_up(session_id, message)):
            return
        if message.author.guest:
            raise NotAllowed(sentences.GUEST)
        await self._take(session_id, message, self._claim_message(message))

    async def _follows_up(self, session_id: str, message: ChatMessage) -> bool:
        if self._desk.mentions_required or message.mentions_others:
            return False
        view = await self._desk.log.view(session_id)
        prompts = {item.prompt.message for item in view.prompts if item.prompt.message}
        thread = await self._platform.thread(message.place, _RECENT_MESSAGES)
        return is_follow_up(message, thread, prompts)

    async def _take(self, session_id: str | None, message: ChatMessage, claim: Claim) -> None:
        """The message is meant for us: it opens a session, or goes to the one of its thread."""
        wording = read_wording(message.text)
        person = await self._desk.directory.resolve(message.author)
        if session_id is not None and is_stop(wording.text):
            await self._desk.commands.stop(session_id, person, claim=claim)
            await self._mark(message, TAKEN)
        elif not wording.text and not message.attachments:
            await self._tell(message.place, message.author, sentences.HOW_TO)
        elif session_id is None:
            await self._open(message, person, wording, claim)
        else:
            await self._follow(session_id, message, person, wording, claim)

    async def _open(self, message: ChatMessage, person: Person, wording: Wording, claim: Claim) -> None:
        context = message.context
        if not message.starts_thread:
            context = (*context, *await self._context(message.place, message.message))
        origin = Origin(
            platform=message.platform,
            workspace=message.workspace,
            channel=message.channel,
            channel_name=message.channel_name,
            channel_topic=message.channel_topic,
            thread=message.thread,
            message=message.message,
        )
        prompt = _prompt(replace(message, context=context), person, wording)
        await self._desk.commands.open_session(prompt, origin, claim=claim)
        await self._mark(message, SEEN)
        await self._name_unread(message)

    async def _follow(
        self, session_id: str, message: ChatMessage, person: Person, wording: Wording, claim: Claim
    ) -> None:
        view = await self._desk.log.view(session_id)
        if view.state == "awaiting_repository" and (slug := self._slug(wording.text)) is not None:
            await self._desk.commands.pick_repository(session_id, slug, person, claim=claim)
            await self._mark(message, TAKEN)
            return
        prompt = _prompt(message, person, wording)
        accepted = await self._desk.commands.add_prompt(session_id, prompt, claim=claim)
        waits = accepted.how in ("queued", "started", "routing")
        await self._mark(message, SEEN if waits else TAKEN)
        await self._name_unread(message)

    def _slug(self, words: str) -> str | None:
        """The repository these words name and nothing else; a bare name only when one repository has it."""
        wanted = words.strip(" `*_.!\"'“”").lower()
        exact = [c.value for c in self._desk.repositories if c.value.lower() == wanted]
        named = [c.value for c in self._desk.repositories if c.value.lower().rpartition("/")[2] == wanted]
        found = exact or named
        return found[0] if len(found) == 1 else None

    async def _context(self, place: Place, without: str) -> tuple[ThreadLine, ...]:
        thread = await self._platform.thread(place, CONTEXT_MESSAGES)
        return tuple(
            ThreadLine(author=m.name, text=m.text, from_bot=m.from_bot)
            for m in thread
            if m.message != without
        )

    async def _mark(self, message: ChatMessage, emoji: str) -> None:
        try:
            await self._platform.react(message.place, message.message, emoji)
        except PlatformError as error:
            # The command stands; the card will show it.
            _log.warning("chat.cannot_react", platform=self._platform.name, detail=str(error))

    async def _name_unread(self, message: ChatMessage) -> None:
        for attachment in message.attachments:
            if attachment.text is None and attachment.image_data_url is None:
                await self._tell(message.place, message.author, sentences.unread_file(attachment.name))

    async def _session_in(self, place: Place) -> str | None:
        return await self._desk.log.find_by_thread(
            self._platform.name, place.workspace, place.channel, place.thread
        )

    def _claim_message(self, message: ChatMessage) -> Claim:
        """One request per message, however many events a platform makes of it (message, mention, 🛎️)."""
        return self._claim_event(message.workspace, f"message:{message.channel}:{message.message}")

    def _claim_event(self, workspace: str, event_id: str) -> Claim:
        return Claim(source=f"{self._platform.name}:{workspace}", event_id=event_id)

    # Reactions

    async def _reaction(self, reaction: Reaction) -> None:
        if self._desk.reactions.meaning(reaction.emoji) is None:
            return
        row = await self._row(reaction)
        session_id = row.session_id if row else await self._session_begun_by(reaction)
        kind = row.kind if row else ("request" if session_id else None)
        intent = self._desk.reactions.intent(reaction.emoji, kind, added=reaction.added)
        if intent is None:
            return
        if reaction.author.guest:
            raise NotAllowed(sentences.GUEST)
        if session_id is None:
            await self._start_from(reaction)
            return
        if not reaction.thread:
            origin = (await self._desk.log.view(session_id)).origin
            reaction = replace(reaction, thread=origin.thread)
        await self._edge(
            self._do(intent, session_id, row.ref if row else "", reaction), reaction.place, reaction.author
        )

    async def _row(self, reaction: Reaction) -> ChatMessageRow | None:
        """What the message stands for. Somebody quick can react before the feed wrote down what it sent."""
        for _ in range(_LOOKS if reaction.on_bot else 1):
            row = await self._desk.messages.by_message(
                self._platform.name, reaction.channel, reaction.message
            )
            if row is not None:
                return row
            if reaction.on_bot:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        return None

    async def _session_begun_by(self, reaction: Reaction) -> str | None:
        return await self._session_in(replace(reaction.place, thread=reaction.message))

    async def _do(self, intent: Intent, session_id: str, ref: str, reaction: Reaction) -> None:
        commands, place, author = self._desk.commands, reaction.place, reaction.author
        person = await self._desk.directory.resolve(author)
        claim = self._claim_event(reaction.workspace, reaction.event_id)
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
                thanks = sentences.THANKS_GOOD if intent == "good" else sentences.THANKS_BAD
                await self._tell(place, author, thanks)
            case "fork":
                raise NotNow(sentences.NO_FORK_YET)
            case "start":
                raise NotNow(sentences.ALREADY_HERE)

    async def _withdraw(self, session_id: str, approval_id: str, person: Person, claim: Claim) -> None:
        """Taking an emoji away means something only where it was this person's yes."""
        item = (await self._desk.log.view(session_id)).approval(approval_id)
        if item is not None and item.by is not None and item.by.id == person.id and item.state == "given":
            await self._desk.commands.withdraw(session_id, approval_id, person, claim=claim)

    async def _start_from(self, reaction: Reaction) -> None:
        """🛎️ under any message: that message is the request, its thread the context, the reactor asks."""
        found = await self._platform.fetch(reaction.place, reaction.message)
        if found is None:
            raise NotFound(sentences.MESSAGE_GONE)
        if not found.text.strip() and not found.attachments:
            raise NotNow(sentences.NOTHING_TO_START)
        wrote = ThreadLine(author=found.author.name, text=found.text)
        own = found.author.account == reaction.author.account
        request = replace(
            found,
            author=reaction.author,
            context=() if own else (wrote,),
            starts_thread=False,
        )
        session_id = await self._session_in(request.place)
        await self._take(session_id, request, self._claim_message(request))

    # Buttons

    async def _press(self, press: Press) -> None:
        if press.author.guest:
            raise NotAllowed(sentences.GUEST)
        commands, session_id = self._desk.commands, press.session_id
        person = await self._desk.directory.resolve(press.author)
        claim = self._claim_event(press.workspace, press.event_id)
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
                if self._slug(press.value) is None:
                    raise NotFound(sentences.NOT_IN_CATALOGUE.format(slug=press.value))
                await commands.pick_repository(session_id, press.value, person, claim=claim)
            case "wrong_repository":
                raise NotNow(sentences.WRONG_REPOSITORY)
            case "open_page":
                return

    async def _answer(self, press: Press, person: Person, claim: Claim) -> None:
        question = (await self._desk.log.view(press.session_id)).question
        if question is None or question.question_id != press.ref or not press.value.isdecimal():
            raise NotNow(sentences.OLD_BUTTON)
        if int(press.value) >= len(question.options):
            raise NotNow(sentences.OLD_BUTTON)
        text = question.options[int(press.value)]
        await self._desk.commands.answer_question(press.session_id, press.ref, text, person, claim=claim)


def _prompt(message: ChatMessage, person: Person, wording: Wording) -> Prompt:
    return Prompt(
        id=secrets.token_hex(8),
        text=wording.text,
        author=person,
        context=message.context,
        attachments=message.attachments,
        message=message.message,
        repository=wording.repository,
        branch=wording.branch,
        model=wording.model,
    )
