"""Preferences and channel rules in chat: what was written or chosen is read, done and answered."""

from __future__ import annotations

from bot import sentences
from bot.counter import Counter
from bot.messages import TAKEN, ChatMessage, CommandWords
from bot.overview import Overview
from bot.preferences_words import (
    ListSessions,
    SetBranch,
    SetChannelMentions,
    SetChannelRepository,
    SetChannelWords,
    SetModel,
    SetVerbosity,
    ShowChannel,
    ShowHelp,
    ShowPreferences,
    Wish,
    read_wish,
)
from bot.sentences import preferences as say
from session.channel_rules import Channel, ChannelRules
from session.inbox import Claim
from session.people import Identity, Person
from session.refusals import NotAllowed, NotNow


def channel_in(message: ChatMessage) -> Channel:
    """The channel that a message was said in."""
    return Channel(message.platform, message.workspace, message.channel, message.channel_name)


class PreferenceDesk:
    """Carries wishes out. Its methods raise Refusal, DatabaseDown and AuditDown."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._overview = Overview(counter)

    async def said(self, words: CommandWords) -> str:
        """What to tell the person who typed these words after the bot's command."""
        if words.author.guest:
            raise NotAllowed(sentences.refusals.GUEST)
        wish = read_wish(words.text)
        person = await self._counter.directory.resolve(words.author)
        here = Channel(words.platform, words.workspace, words.channel, words.channel_name)
        return await self._done(wish, person, None if words.is_direct else here)

    async def answer(self, message: ChatMessage, person: Person, wish: Wish, claim: Claim) -> None:
        """The wish of a message is done; only the person sees the answer, and once."""
        if not await self._counter.log.claim(claim):
            return
        said = await self._done(wish, person, None if message.is_direct else channel_in(message))
        await self._counter.mark(message, TAKEN)
        await self._counter.tell(message.place, message.author, said)

    async def chosen(self, author: Identity, wish: Wish) -> None:
        """What somebody chose in a form of the platform is done."""
        if author.guest:
            raise NotAllowed(sentences.refusals.GUEST)
        await self._done(wish, await self._counter.directory.resolve(author), None)

    async def _done(self, wish: Wish, person: Person, here: Channel | None) -> str:
        match wish:
            case ShowHelp():
                return say.HELP
            case ListSessions():
                return await self._overview.sessions(person)
            case ShowPreferences() | SetModel() | SetVerbosity() | SetBranch():
                return await self._of_person(wish, person)
            case ShowChannel() | SetChannelRepository() | SetChannelWords() | SetChannelMentions():
                if here is None:
                    raise NotNow(say.NO_CHANNEL)
                return say.channel(await self._of_channel(wish, person, here))

    async def _of_person(
        self, wish: ShowPreferences | SetModel | SetVerbosity | SetBranch, person: Person
    ) -> str:
        book, through = self._counter.customs.people, self._counter.platform.name
        match wish:
            case SetModel(model):
                return say.model_set(await book.set_model(person, model, through=through), book.models)
            case SetVerbosity(verbosity):
                return say.verbosity_set(await book.set_verbosity(person, verbosity, through=through))
            case SetBranch(repository, branch):
                await book.set_branch(person, repository, branch, through=through)
                return say.branch_set(repository, branch)
            case ShowPreferences():
                return say.preferences(await book.of(person.id), book.models)

    async def _of_channel(
        self,
        wish: ShowChannel | SetChannelRepository | SetChannelWords | SetChannelMentions,
        person: Person,
        here: Channel,
    ) -> ChannelRules:
        book, through = self._counter.customs.channels, self._counter.platform.name
        match wish:
            case SetChannelRepository(repository):
                return await book.set_repository(person, here, repository, through=through)
            case SetChannelWords(words):
                return await book.set_words(person, here, words, through=through)
            case SetChannelMentions(required):
                return await book.set_mention_required(person, here, required, through=through)
            case ShowChannel():
                return await book.of(here)
