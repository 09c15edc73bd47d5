"""The rules of a channel: its repository, the words that are watched there, and when to mention the bot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from session.access import reaches
from session.audit import Audit, AuditEntry
from session.catalogue import Catalogue, UnknownRepository
from session.database import Database, Row, Transaction
from session.directory import Directory
from session.events import SessionOpened
from session.people import Origin, Person
from session.refusals import NotAllowed, NotFound, Refusal

MOST_WORDS = 50
MAX_WORD_CHARACTERS = 64
MOST_SEEN = 200
"""So many channels at most are offered to admins; rules of others are set in the channel itself."""

_MAX_NAME = 200
_COLUMNS = "platform, workspace, channel"
_HERE = "platform = ? AND workspace = ? AND channel = ?"
_ADMINS_ONLY = (
    "What holds for a whole channel is set by admins, since it holds for everybody in it. Ask one of them."
)


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of a platform. `name` is how people call it, without a sign before it; empty: not known."""

    platform: str
    workspace: str
    channel: str
    name: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from all others."""
        return (self.platform, self.workspace, self.channel)


def channel_of(origin: Origin) -> Channel:
    """The channel that a session lives in."""
    return Channel(origin.platform, origin.workspace, origin.channel, origin.channel_name)


@dataclass(frozen=True, slots=True)
class WatchedWord:
    """A word, or several in a row. starts: a message with it is a request, without a mention.

    repository: a request with it is about that repository; None: it says nothing about that.
    """

    word: str
    starts: bool = False
    repository: str | None = None

    def is_in(self, text: str) -> bool:
        """Whether the text has the word; capitals do not matter, and no part of a longer word counts."""
        return re.search(rf"(?<!\w){re.escape(self.word)}(?!\w)", text, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """What holds in a channel. repository: None means none; mention_required: None means as elsewhere."""

    channel: Channel
    repository: str | None = None
    words: tuple[WatchedWord, ...] = ()
    mention_required: bool | None = None

    def starts_work(self, text: str) -> bool:
        """Whether a message with this text is a request although it mentions nobody."""
        return any(word.starts and word.is_in(text) for word in self.words)

    def repositories_of(self, text: str) -> tuple[tuple[str, str], ...]:
        """The repositories that this text's watched words lead to, each with its word."""
        found = ((word.repository, word.word) for word in self.words if word.is_in(text))
        return tuple((repository, word) for repository, word in found if repository is not None)

    @property
    def says_nothing(self) -> bool:
        """Whether there is no rule at all."""
        return self.repository is None and not self.words and self.mention_required is None


class ChannelRuleBook:
    """The rules of all channels.

    Reading raises DatabaseDown. Changing is for admins; it also raises Refusal with the sentence to show, and
    AuditDown: a change is on the audit before it is made. `through` names where it was asked for.
    """

    def __init__(self, database: Database, directory: Directory, catalogue: Catalogue, audit: Audit) -> None:
        self._database = database
        self._directory = directory
        self._catalogue = catalogue
        self._audit = audit

    async def of(self, channel: Channel) -> ChannelRules:
        """The rules of that channel."""
        rows = await self._database.rows(f"SELECT * FROM channel_rules WHERE {_HERE}", *channel.key)
        if not rows:
            return ChannelRules(channel)
        words = await self._database.rows(
            f"SELECT * FROM watched_words WHERE {_HERE} ORDER BY id", *channel.key
        )
        return _rules(rows[0], words)

    async def all(self) -> tuple[ChannelRules, ...]:
        """The rules of every channel that has some, by name."""
        rows = await self._database.rows(
            "SELECT * FROM channel_rules ORDER BY platform, name, channel, workspace"
        )
        words = await self._database.rows("SELECT * FROM watched_words ORDER BY id")
        found = (
            _rules(row, [word for word in words if _channel(word).key == _channel(row).key]) for row in rows
        )
        return tuple(rules for rules in found if not rules.says_nothing)

    async def called(self, name: str, workspace: str = "") -> tuple[ChannelRules, ...]:
        """The channels with that name or id in which there are rules or sessions, each with its rules; of
        that workspace alone, where one is given."""
        known = {channel.key: channel for channel in await self.seen()}
        rules_of = {rules.channel.key: rules for rules in await self.all()}
        for key, rules in rules_of.items():
            known.setdefault(key, rules.channel)
        wanted = name.lstrip("#").lower()
        return tuple(
            replace(rules_of.get(key) or ChannelRules(channel), channel=channel)
            for key, channel in known.items()
            if wanted in (channel.channel.lower(), channel.name.lower())
            and workspace in ("", channel.workspace)
        )

    async def seen(self) -> tuple[Channel, ...]:
        """The channels that sessions were opened in and that have a name, which direct messages have not."""
        one_of_each = (
            "SELECT MAX(id) FROM sessions WHERE channel <> '' GROUP BY platform, workspace, channel LIMIT ?"
        )
        rows = await self._database.rows(
            f"SELECT body FROM events WHERE seq = 1 AND session_id IN ({one_of_each})", MOST_SEEN
        )
        origins = (SessionOpened.model_validate_json(row["body"]).origin for row in rows)
        found = (channel_of(origin) for origin in origins if origin.channel_name)
        return tuple(sorted(found, key=lambda channel: (channel.name, channel.key)))

    async def set_repository(
        self, by: Person, channel: Channel, slug: str | None, *, through: str
    ) -> ChannelRules:
        """Requests in the channel are about that repository, unless they say otherwise."""
        known = self._slug(slug) if slug is not None else None
        await self._permit(by, channel, "repository", known or "none", through)
        return await self._put(channel, "repository", known)

    async def set_mention_required(
        self, by: Person, channel: Channel, required: bool | None, *, through: str
    ) -> ChannelRules:
        """Whether follow-ups in its threads have to mention the bot; None: as the installation says."""
        said = "as elsewhere" if required is None else ("required" if required else "not required")
        await self._permit(by, channel, "mentions", said, through)
        return await self._put(channel, "mention_required", required)

    async def set_words(
        self, by: Person, channel: Channel, words: Sequence[WatchedWord], *, through: str
    ) -> ChannelRules:
        """These words are watched in the channel, and no others."""
        checked = _unlike([self._word(word) for word in words])
        said = ", ".join(described(word) for word in checked) or "none"
        await self._permit(by, channel, "words", said, through)

        async def work(transaction: Transaction) -> None:
            await _touch(transaction, channel)
            await transaction.execute(f"DELETE FROM watched_words WHERE {_HERE}", *channel.key)
            for word in checked:
                await transaction.execute(
                    f"INSERT INTO watched_words ({_COLUMNS}, word, starts, repository) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    *(*channel.key, word.word, word.starts, word.repository),
                )

        await self._database.run(work)
        return await self.of(channel)

    async def forget(self, by: Person, channel: Channel, *, through: str) -> None:
        """Nothing special holds in the channel any more."""
        await self._permit(by, channel, "all", "none", through)

        async def work(transaction: Transaction) -> None:
            await transaction.execute(f"DELETE FROM watched_words WHERE {_HERE}", *channel.key)
            await transaction.execute(f"DELETE FROM channel_rules WHERE {_HERE}", *channel.key)

        await self._database.run(work)

    async def _put(self, channel: Channel, column: str, value: object) -> ChannelRules:
        async def work(transaction: Transaction) -> None:
            await _touch(transaction, channel)
            await transaction.execute(
                f"UPDATE channel_rules SET {column} = ? WHERE {_HERE}", value, *channel.key
            )

        await self._database.run(work)
        return await self.of(channel)

    async def _permit(self, by: Person, channel: Channel, rule: str, value: str, through: str) -> None:
        if not reaches(await self._directory.role(by.id), "admin"):
            raise NotAllowed(_ADMINS_ONLY)
        if not all(channel.key):
            raise Refusal("Say which channel it is for: its platform, its workspace and its id.")
        entry = AuditEntry(
            actor=f"{through} for {by.id}",
            action="channel_rules.set",
            target=" ".join(part for part in (*channel.key, channel.name) if part),
            outcome="done",
            detail={"by": by.name, "rule": rule, "value": value},
        )
        await self._audit.write(entry)

    def _slug(self, slug: str) -> str:
        try:
            repository = self._catalogue.get(slug)
        except UnknownRepository as unknown:
            raise NotFound(unknown.sentence) from unknown
        if repository.archived:
            raise NotFound(f"{repository.slug} is archived and takes no work.")
        return repository.slug

    def _word(self, word: WatchedWord) -> WatchedWord:
        text = " ".join(word.word.split()).lower()
        if not text or len(text) > MAX_WORD_CHARACTERS or not text.isprintable():
            raise Refusal(f"A watched word has 1 to {MAX_WORD_CHARACTERS} characters.")
        return WatchedWord(text, word.starts, self._slug(word.repository) if word.repository else None)


def read_word(written: str) -> WatchedWord:
    """A watched word as it is written: `outage` starts work, `invoices=acme/billing` goes to a repository.

    Raises: Refusal.
    """
    word, equals, repository = written.strip().strip(",").partition("=")
    if not word.strip() or (equals and not repository.strip()):
        raise Refusal(
            f"I cannot read “{written.strip()[:40]}”: write a word that starts work, or "
            "`word=owner/repository` for one that leads to a repository."
        )
    return WatchedWord(word.strip(), starts=not equals, repository=repository.strip() or None)


def described(word: WatchedWord) -> str:
    """The word as it is written in a command: `word` starts work, `word=owner/name` goes to a repository."""
    parts = [word.word] if word.starts else []
    return ", ".join([*parts, f"{word.word}={word.repository}"] if word.repository else parts)


def _unlike(words: Sequence[WatchedWord]) -> list[WatchedWord]:
    """Each word once. Raises: Refusal, when one leads to two repositories or there are too many."""
    found: dict[str, WatchedWord] = {}
    for word in words:
        known = found.get(word.word, WatchedWord(word.word))
        if known.repository and word.repository and known.repository != word.repository:
            raise Refusal(f"“{word.word}” cannot lead to both {known.repository} and {word.repository}.")
        found[word.word] = WatchedWord(
            word.word, known.starts or word.starts, known.repository or word.repository
        )
    if len(found) > MOST_WORDS:
        raise Refusal(f"I can watch {MOST_WORDS} words in a channel; these are {len(found)}.")
    return list(found.values())


async def _touch(transaction: Transaction, channel: Channel) -> None:
    await transaction.execute(
        f"INSERT INTO channel_rules ({_COLUMNS}, name) VALUES (?, ?, ?, ?) ON CONFLICT ({_COLUMNS}) "
        "DO UPDATE SET name = CASE WHEN excluded.name = '' THEN channel_rules.name ELSE excluded.name END",
        *(*channel.key, channel.name[:_MAX_NAME]),
    )


def _rules(row: Row, words: Sequence[Row]) -> ChannelRules:
    required = row["mention_required"]
    return ChannelRules(
        channel=_channel(row, row["name"]),
        repository=row["repository"],
        words=tuple(WatchedWord(w["word"], bool(w["starts"]), w["repository"]) for w in words),
        mention_required=None if required is None else bool(required),
    )


def _channel(row: Row, name: str = "") -> Channel:
    return Channel(row["platform"], row["workspace"], row["channel"], name)
