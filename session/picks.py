"""What people picked when the repository was not clear: the classifier's worked examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from session.channel_rules import Channel
from session.database import Database, Transaction
from session.events import Recorded, RepositoryChosen
from session.view import SessionView

KEPT_DAYS = 180
KEPT_IN_A_CHANNEL = 200
LONGEST_WORDS = 300
"""Characters of a request that are kept with its pick."""


@dataclass(frozen=True, slots=True)
class Pick:
    """The beginning of a request, the repository that a person said it is about, and the one that was chosen
    wrongly before, if any."""

    words: str
    slug: str
    refused: str = ""


async def remember(transaction: Transaction, before: SessionView, records: Sequence[Recorded]) -> None:
    """Keep what people picked, in the transaction that records it; of a session the last pick alone. What is
    older than `KEPT_DAYS`, and more than `KEPT_IN_A_CHANNEL`, goes."""
    for record in records:
        chosen = record.event
        if not isinstance(chosen, RepositoryChosen) or chosen.by is None or not before.prompts:
            continue
        if chosen.beside:  # the request was about several, so it is no example for one
            continue
        origin = before.origin
        channel = (origin.platform, origin.workspace, origin.channel)
        words = before.prompts[0].prompt.text[:LONGEST_WORDS]
        await transaction.execute(
            "INSERT INTO picks (session_id, platform, workspace, channel, channel_name, words, slug, "
            f"refused, picked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, {transaction.now}) "
            "ON CONFLICT (session_id) DO UPDATE SET slug = excluded.slug, "
            "refused = excluded.refused, picked_at = excluded.picked_at",
            record.session_id, *channel, origin.channel_name, words, chosen.slug, chosen.former,
        )  # fmt: skip
        oldest = await transaction.clock() - timedelta(days=KEPT_DAYS)
        await transaction.execute("DELETE FROM picks WHERE picked_at < ?", oldest)
        await transaction.execute(
            "DELETE FROM picks WHERE platform = ? AND workspace = ? AND channel = ? AND session_id NOT IN "
            "(SELECT session_id FROM picks WHERE platform = ? AND workspace = ? AND channel = ? "
            "ORDER BY picked_at DESC LIMIT ?)",
            *channel, *channel, KEPT_IN_A_CHANNEL,
        )  # fmt: skip


class Picks:
    """What was picked in a channel. Nothing is told of one channel in another: names of repositories,
    and what people wrote, may be secret there. Every method raises DatabaseDown."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, channel: Channel) -> tuple[Pick, ...]:
        """The picks of that channel, newest first."""
        return await self._where("platform = ? AND workspace = ? AND channel = ?", *channel.key)

    async def named(self, channel_name: str) -> tuple[Pick, ...]:
        """The picks of channels of that name, newest first: for who looks from the shell
        where nothing else is known of one."""
        return await self._where("channel_name = ?", channel_name.lstrip("#"))

    async def _where(self, condition: str, *values: str) -> tuple[Pick, ...]:
        rows = await self._database.rows(
            f"SELECT words, slug, refused FROM picks WHERE {condition} ORDER BY picked_at DESC LIMIT ?",
            *values,
            KEPT_IN_A_CHANNEL,
        )
        return tuple(Pick(row["words"], row["slug"], row["refused"]) for row in rows)
