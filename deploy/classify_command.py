"""`bellhop classify`: which repository a text is about, as if somebody had said it in a channel."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from classifier.decision import Classifier
from classifier.request import Classification, RoutingRequest
from deploy.work import fast_model
from session.audit import Audit
from session.catalogue import Catalogue
from session.channel_rules import Channel, ChannelRuleBook, ChannelRules, described
from session.database import Database
from session.directory import Directory
from session.picks import Picks
from session.settings import Settings


@dataclass(frozen=True, slots=True)
class Said:
    """What was said, and where. channel: its name or its id, empty for none. workspace: empty for any."""

    text: str
    channel: str = ""
    workspace: str = ""


class ManyChannels(Exception):
    """Several channels are called that; the message names them."""


async def classify(settings: Settings, said: Said, *, explain: bool) -> int:
    """Prints what the request would be routed to; 1 when it cannot be told which channel is meant.

    Raises: CatalogueError, DatabaseDown, SettingsError.
    """
    catalogue = Catalogue.load(settings.repositories_file)
    try:
        request = await _request(settings, catalogue, said)
    except ManyChannels as many:
        print(f"bellhop: {many}", file=sys.stderr)
        return 1
    async with fast_model(settings) as model:
        decision = await Classifier(catalogue, model).classify(request)
    print(decision.slug or "unknown: the person would be asked")
    if explain:
        _explain(decision)
    if explain and said.channel:
        print(f"  {_of_channel(said, request.channel_rules)}")
    return 0


async def _request(settings: Settings, catalogue: Catalogue, said: Said) -> RoutingRequest:
    """The request with what routing would know of its channel. Raises: ManyChannels."""
    if not said.channel:
        return RoutingRequest(said.text)
    async with await Database.open(settings.database_address) as database:
        await database.migrate()
        book = ChannelRuleBook(database, Directory(database), catalogue, Audit(database))
        found = await book.called(said.channel, said.workspace)
        if len(found) > 1:
            places = ", ".join(_called(rules.channel) for rules in found)
            raise ManyChannels(
                f"Several channels are called {said.channel}: {places}. "
                "Say which, by its id or with --workspace."
            )
        picks = Picks(database)
        if not found:
            earlier = await picks.named(said.channel)
            return RoutingRequest(said.text, channel_name=said.channel, picks=earlier)
        (rules,) = found
        earlier = await picks.of(rules.channel)
        return RoutingRequest(said.text, channel_name=rules.channel.name, channel_rules=rules, picks=earlier)


def _explain(decision: Classification) -> None:
    print(f"  because: {decision.reason}")
    print(f"  decided by: {decision.how or 'nobody'}, confidence {decision.confidence:.2f}")
    for candidate in decision.alternatives:
        print(f"  could also be: {candidate.slug} ({candidate.description})")
    for pick in decision.examples:
        print(f"  like an earlier pick here: {pick.slug} for “{' '.join(pick.words.split())}”")


def _of_channel(said: Said, rules: ChannelRules | None) -> str:
    """What is known of the channel and held for the request."""
    if rules is None:
        return f"channel: none called {said.channel} is known here, so only the catalogue's rules hold"
    parts = [f"repository {rules.repository}"] if rules.repository else []
    parts += [f"words {', '.join(described(word) for word in rules.words)}"] if rules.words else []
    return f"channel: {_called(rules.channel)}, whose rules hold: {'; '.join(parts) or 'none'}"


def _called(channel: Channel) -> str:
    name = f"#{channel.name} " if channel.name else ""
    return f"{name}({channel.platform} {channel.workspace} {channel.channel})"
