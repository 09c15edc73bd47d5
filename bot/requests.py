"""Messages: a request opens a session, a follow-up goes to the session of its thread."""

from __future__ import annotations

import secrets
from dataclasses import replace

from bot import sentences
from bot.counter import Counter
from bot.follow_ups import is_follow_up
from bot.linking import Linking
from bot.messages import SEEN, TAKEN, ChatMessage, Place
from bot.preferences import PreferenceDesk, channel_in
from bot.preferences_words import preference_wish
from bot.wording import Wording, is_link, is_stop, is_unlink, link_code, read_wording
from session.directory import LINK_PURPOSE, IdentityTaken
from session.inbox import Claim
from session.people import Origin, Person, Prompt, ThreadLine
from session.refusals import NotAllowed, NotNow

CONTEXT_MESSAGES = 50
"""How much of a thread is handed on with a request; older messages are on the platform still."""

_RECENT_MESSAGES = 20


class Requests:
    """Takes what people write to the session it belongs to.

    Its methods raise Refusal, AlreadyClaimed, NoSuchSession, PlatformError, DatabaseDown, BrokerDown and
    BrokerRefused.
    """

    def __init__(self, counter: Counter, linking: Linking) -> None:
        self._counter = counter
        self._linking = linking
        self._preferences = PreferenceDesk(counter)

    async def said(self, message: ChatMessage) -> None:
        """A request, a follow-up, or nothing for us."""
        addressed = message.mentions_bot or message.is_direct
        if message.starts_thread and not addressed:
            if not await self._calls_by_word(message):
                return
            addressed = True
        session_id = None if message.starts_thread else await self._counter.session_in(message.place)
        if not addressed and (session_id is None or not await self._follows_up(session_id, message)):
            return
        if message.author.guest:
            raise NotAllowed(sentences.GUEST)
        await self.take(session_id, message)

    async def take(self, session_id: str | None, message: ChatMessage) -> None:
        """The message is meant for us: it opens a session, or goes to the one of its thread."""
        claim = self._counter.claim_message(message)
        wording = read_wording(message.text)
        person = await self._counter.directory.resolve(message.author)
        code = link_code(wording.text)
        if code is not None:
            await self._link(message, person, code)
        elif is_link(wording.text):
            await self._linking.link(message, person, claim)
        elif is_unlink(wording.text):
            await self._linking.unlink(message, person, claim)
        elif (wish := preference_wish(wording.text)) is not None:
            await self._preferences.answer(message, person, wish, claim)
        elif session_id is not None and is_stop(wording.text):
            await self._counter.commands.stop(session_id, person, claim=claim)
            await self._counter.mark(message, TAKEN)
        elif not wording.text and not message.attachments:
            raise NotNow(sentences.HOW_TO)
        elif session_id is None:
            await self._open(message, person, wording, claim)
        else:
            await self._follow(session_id, message, person, wording, claim)

    async def _link(self, message: ChatMessage, person: Person, code: str) -> None:
        """The account that writes becomes that of the person who got the code on the companion page."""
        directory = self._counter.directory
        owner = await directory.redeem_ticket(LINK_PURPOSE, code)
        if owner is not None:
            try:
                person = await directory.link(owner, message.author)
            except IdentityTaken as taken:
                raise NotNow(sentences.ACCOUNT_TAKEN) from taken
        # A second delivery of the same message finds the code spent, and the account linked.
        linked = owner is not None or len(await directory.identities(person.id)) > 1
        answer = sentences.linked(person.name) if linked else sentences.CODE_SPENT
        await self._counter.tell(message.place, message.author, answer)

    async def _follows_up(self, session_id: str, message: ChatMessage) -> bool:
        if message.mentions_others or await self._mentions_required(message):
            return False
        view = await self._counter.log.view(session_id)
        prompts = {item.prompt.message for item in view.prompts if item.prompt.message}
        thread = await self._counter.platform.thread(message.place, _RECENT_MESSAGES)
        return is_follow_up(message, thread, prompts)

    async def _calls_by_word(self, message: ChatMessage) -> bool:
        """Whether it has a word that is watched in its channel; guests are not told each time that they may
        only watch."""
        if message.author.guest or message.mentions_others:
            return False
        return (await self._counter.customs.channels.of(channel_in(message))).starts_work(message.text)

    async def _mentions_required(self, message: ChatMessage) -> bool:
        required = (await self._counter.customs.channels.of(channel_in(message))).mention_required
        return self._counter.mentions_required if required is None else required

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
        await self._counter.commands.open_session(prompt, origin, claim=claim)
        await self._counter.mark(message, SEEN)
        await self._name_unread(message)

    async def _follow(
        self, session_id: str, message: ChatMessage, person: Person, wording: Wording, claim: Claim
    ) -> None:
        view = await self._counter.log.view(session_id)
        if view.state == "awaiting_repository" and (slug := self._slug(wording.text)) is not None:
            await self._counter.commands.pick_repository(session_id, slug, person, claim=claim)
            await self._counter.mark(message, TAKEN)
            return
        prompt = _prompt(message, person, wording)
        accepted = await self._counter.commands.add_prompt(session_id, prompt, claim=claim)
        waits = accepted.how in ("queued", "started", "routing")
        await self._counter.mark(message, SEEN if waits else TAKEN)
        await self._name_unread(message)

    def _slug(self, words: str) -> str | None:
        """The repository these words name and nothing else; a bare name only when one repository has it."""
        wanted = words.strip(" `*_.!\"'“”").lower()
        exact = [c.value for c in self._counter.repositories if c.value.lower() == wanted]
        named = [c.value for c in self._counter.repositories if c.value.lower().rpartition("/")[2] == wanted]
        found = exact or named
        return found[0] if len(found) == 1 else None

    async def _context(self, place: Place, without: str) -> tuple[ThreadLine, ...]:
        thread = await self._counter.platform.thread(place, CONTEXT_MESSAGES)
        return tuple(
            ThreadLine(author=m.name, text=m.text, from_bot=m.from_bot)
            for m in thread
            if m.message != without
        )

    async def _name_unread(self, message: ChatMessage) -> None:
        for attachment in message.attachments:
            if attachment.text is None and attachment.image_data_url is None:
                await self._counter.tell(
                    message.place, message.author, sentences.unread_file(attachment.name)
                )


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
