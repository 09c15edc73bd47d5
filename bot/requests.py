"""Messages: a request opens a session, a follow-up goes to the session of its thread."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches

from bot import sentences
from bot.clips import Clips
from bot.counter import Counter
from bot.follow_ups import is_follow_up
from bot.linking import Linking
from bot.messages import SEEN, TAKEN, ChatMessage, Choice, Place, is_clip
from bot.plain_words import is_undo, may_be_wish
from bot.preferences import PreferenceDesk, channel_in
from bot.preferences_words import preference_wish
from bot.thread_posts import repository_menu
from bot.wording import Wording, is_link, is_stop, is_unlink, link_code, read_wording
from session.directory import LINK_PURPOSE, IdentityTaken
from session.events import Candidate
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
        self._clips = Clips(counter)
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
            raise NotAllowed(sentences.refusals.GUEST)
        await self.take(session_id, message)

    async def take(self, session_id: str | None, message: ChatMessage) -> None:
        """The message is meant for us: it opens a session, or goes to the one of its thread."""
        message = await self._clips.heard(message)
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
        elif not _something_to_do(wording, message, session_id):
            raise NotNow(sentences.refusals.HOW_TO)
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
                raise NotNow(sentences.accounts.ACCOUNT_TAKEN) from taken
        # A second delivery of the same message finds the code spent, and the account linked.
        linked = owner is not None or len(await directory.identities(person.id)) > 1
        answer = sentences.accounts.linked(person.name) if linked else sentences.accounts.CODE_SPENT
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
        named = wording.text or wording.repository or ""
        if view.state == "awaiting_repository" and (slug := self._slug(named)) is not None:
            await self._counter.commands.pick_repository(session_id, slug, person, claim=claim)
            await self._counter.mark(message, TAKEN)
            return
        if view.state == "awaiting_repository" and (near := self._nearly(named)):
            await self._offer(session_id, message, person, near, claim)
            return
        if view.words is not None and is_undo(wording.text):
            await self._counter.commands.withdraw_words(session_id, person, claim=claim)
            await self._counter.mark(message, TAKEN)
            return
        prompt = _prompt(message, person, wording)
        slugs = [choice.value for choice in self._counter.repositories]
        wish = may_be_wish(message, wording, slugs)
        take = self._counter.commands.take_words if wish else self._counter.commands.add_prompt
        accepted = await take(session_id, prompt, claim=claim)
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

    def _nearly(self, words: str) -> list[Choice]:
        """The repositories whose name this one word nearly is."""
        word = words.strip(" `*_.!?\"'“”").lower()
        if not word or " " in word:
            return []
        names = {choice.value.lower(): choice for choice in self._counter.repositories}
        names |= {slug.rpartition("/")[2]: choice for slug, choice in names.items()}
        found = get_close_matches(word, names, n=5, cutoff=0.75)
        return list(dict.fromkeys(names[name] for name in found))

    async def _offer(
        self, session_id: str, message: ChatMessage, person: Person, near: Sequence[Choice], claim: Claim
    ) -> None:
        """A misspelt name is answered with those that are nearly it; a guess is nobody's pick."""
        await self._counter.commands.check_pick(session_id, person)
        if not await self._counter.log.claim(claim):
            return
        likely = [Candidate(slug=choice.value, description=choice.description) for choice in near]
        text = sentences.questions.NEARLY_A_REPOSITORY
        menu = repository_menu(session_id, text, likely, self._counter.repositories)
        platform = self._counter.platform
        key = f"chat:{platform.name}:{session_id}:menu:{message.message}"
        posted = await platform.post(message.place, menu, key)
        await self._counter.messages.remember(
            platform.name, message.channel, posted, session_id, menu.kind, menu.ref
        )

    async def _context(self, place: Place, without: str) -> tuple[ThreadLine, ...]:
        thread = await self._counter.platform.thread(place, CONTEXT_MESSAGES)
        return tuple(
            ThreadLine(author=m.name, text=m.text, from_bot=m.from_bot)
            for m in thread
            if m.message != without
        )

    async def _name_unread(self, message: ChatMessage) -> None:
        for attachment in message.attachments:
            unread = attachment.text is None and attachment.image_data_url is None
            if unread and not is_clip(attachment.media_type):
                await self._counter.tell(
                    message.place, message.author, sentences.refusals.unread_file(attachment.name)
                )


def _something_to_do(wording: Wording, message: ChatMessage, session_id: str | None) -> bool:
    """Whether there are words, or a file; in a session a directive alone may say enough."""
    directive = wording.repository or wording.model
    return bool(wording.text or message.attachments or (session_id is not None and directive))


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
