"""What people write to set a preference or a channel's rule, read into one wish, on every platform alike."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bot.sentences import preferences as say
from session.channel_rules import WatchedWord, read_word
from session.refusals import Refusal

DEFAULT_WORDS = frozenset({"default", "none", "reset", "off", "-"})
"""What stands for: as it is without a preference."""


class NotUnderstood(Refusal):
    """The words are no wish of these; the sentence says how they are written."""


@dataclass(frozen=True, slots=True)
class ShowPreferences:
    """What do I prefer?"""


@dataclass(frozen=True, slots=True)
class ShowHelp:
    """What can be said here?"""


@dataclass(frozen=True, slots=True)
class ListSessions:
    """Which sessions are mine?"""


@dataclass(frozen=True, slots=True)
class SetModel:
    """This model for what I ask; None: the usual one."""

    model: str | None


@dataclass(frozen=True, slots=True)
class SetVerbosity:
    """Tell me so much; None: as usual."""

    verbosity: str | None


@dataclass(frozen=True, slots=True)
class SetBranch:
    """My work in this repository starts from this branch; None: from its default."""

    repository: str
    branch: str | None


@dataclass(frozen=True, slots=True)
class ShowChannel:
    """What holds in this channel?"""


@dataclass(frozen=True, slots=True)
class SetChannelRepository:
    """This channel is about this repository; None: about none."""

    repository: str | None


@dataclass(frozen=True, slots=True)
class SetChannelWords:
    """These words are watched in this channel."""

    words: tuple[WatchedWord, ...]


@dataclass(frozen=True, slots=True)
class SetChannelMentions:
    """Whether follow-ups in this channel have to mention the bot; None: as elsewhere."""

    required: bool | None


Wish = (
    ShowPreferences
    | ShowHelp
    | ListSessions
    | SetModel
    | SetVerbosity
    | SetBranch
    | ShowChannel
    | SetChannelRepository
    | SetChannelWords
    | SetChannelMentions
)

_Rest = Sequence[str]


def read_wish(text: str) -> Wish:
    """The wish in what was written after `/bellhop`; nothing written shows the preferences.

    Raises: NotUnderstood.
    """
    words = _split(text)
    if not words:
        return ShowPreferences()
    verb = words[0].lower().rstrip(":")
    reader = _READERS.get(verb)
    if reader is None:
        raise NotUnderstood(say.unknown_word(words[0]))
    return reader(words[1:])


def preference_wish(text: str) -> Wish | None:
    """The wish in a message to the bot, `preferences` and what follows; None for any other message.

    Only what is understood counts: a request may well begin with the same word.
    """
    first, _, rest = text.strip().partition(" ")
    if first.lower().rstrip(":") not in ("preferences", "preference"):
        return None
    try:
        return read_wish(rest)
    except NotUnderstood:
        return None


def _split(text: str) -> list[str]:
    """Words by blanks; those in quotes belong together. Typographic quotes count as quotes."""
    plain = text.translate(str.maketrans("“”„", '"""'))
    lexer = shlex.shlex(plain, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters, lexer.quotes, lexer.escape = True, "", '"', ""
    try:
        return list(lexer)
    except ValueError as error:
        raise NotUnderstood(say.OPEN_QUOTE) from error


def _alone(wish: Wish, name: str) -> Callable[[_Rest], Wish]:
    def read(rest: _Rest) -> Wish:
        if rest:
            raise NotUnderstood(say.usage(name))
        return wish

    return read


def _or_default(word: str) -> str | None:
    return None if word.lower() in DEFAULT_WORDS else word


def _model(rest: _Rest) -> Wish:
    if len(rest) != 1:
        raise NotUnderstood(say.usage("model <name>", "default"))
    return SetModel(_or_default(rest[0]))


def _verbosity(rest: _Rest) -> Wish:
    if len(rest) != 1:
        raise NotUnderstood(say.usage("verbosity quiet", "normal", "detailed"))
    word = rest[0].lower()
    return SetVerbosity(_or_default(word))


def _branch(rest: _Rest) -> Wish:
    if len(rest) != 2:
        raise NotUnderstood(say.usage("branch <repository> <branch>", "default"))
    return SetBranch(rest[0], _or_default(rest[1]))


def _channel(rest: _Rest) -> Wish:
    if not rest:
        return ShowChannel()
    reader = _CHANNEL_READERS.get(rest[0].lower().rstrip(":"))
    if reader is None:
        raise NotUnderstood(say.CHANNEL_USAGE)
    return reader(rest[1:])


def _channel_repository(rest: _Rest) -> Wish:
    if len(rest) != 1:
        raise NotUnderstood(say.usage("channel repository <repository>", "none"))
    return SetChannelRepository(_or_default(rest[0]))


def _channel_words(rest: _Rest) -> Wish:
    if not rest:
        raise NotUnderstood(say.usage("channel words <word> <word>=<repository> …", "none"))
    if len(rest) == 1 and _or_default(rest[0]) is None:
        return SetChannelWords(())
    try:
        return SetChannelWords(tuple(read_word(word) for word in rest))
    except Refusal as unreadable:
        raise NotUnderstood(unreadable.sentence) from unreadable


def _channel_mentions(rest: _Rest) -> Wish:
    known: Mapping[str, bool | None] = {
        "on": True, "required": True, "yes": True, "off": False, "no": False, "default": None,
    }  # fmt: skip
    word = rest[0].lower() if len(rest) == 1 else ""
    if word not in known:
        raise NotUnderstood(say.usage("channel mentions on", "off", "default"))
    return SetChannelMentions(known[word])


_READERS: Mapping[str, Callable[[_Rest], Wish]] = {
    "preferences": _alone(ShowPreferences(), "preferences"),
    "help": _alone(ShowHelp(), "help"),
    "sessions": _alone(ListSessions(), "sessions"),
    "model": _model,
    "verbosity": _verbosity,
    "branch": _branch,
    "channel": _channel,
}

_CHANNEL_READERS: Mapping[str, Callable[[_Rest], Wish]] = {
    "repository": _channel_repository,
    "repo": _channel_repository,
    "words": _channel_words,
    "mentions": _channel_mentions,
}
