"""While a repository is asked about that is likely meant, a sandbox of it is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from classifier.decision import Classifier
from classifier.routing import Routing
from session.audit import Audit
from session.catalogue import Catalogue
from session.channel_rules import ChannelRuleBook
from session.commands import Commands
from session.database import Database
from session.directory import Directory
from session.leases import Leases
from session.log import Log
from session.people import Identity, Origin, Prompt
from session.picks import Picks
from session.pulse import Pulse
from session.queue import Queue
from session.warming import Warming
from tests.classifier.conftest import COMPANY, Replies
from tests.provision.databases import tables_at


@pytest.mark.parametrize(
    ("confidence", "state", "warm"),
    [(0.9, "queued", True), (0.5, "awaiting_repository", True), (0.2, "awaiting_repository", False)],
)
async def test_what_is_likely_meant_is_warmed(
    classifier: Classifier,
    replies: Replies,
    tmp_path: Path,
    redis_url: str,
    confidence: float,
    state: str,
    warm: bool,
) -> None:
    replies.says(repository="acme/billing", confidence=confidence)
    url = await tables_at(f"sqlite://{tmp_path / 'bellhop.db'}")
    async with (
        await Database.open(url) as database,
        Pulse(None) as pulse,
        Queue(redis_url, answer_seconds=60) as queue,
    ):
        await database.migrate()
        log, directory, catalogue = Log(database, pulse), Directory(database), Catalogue(COMPANY)
        commands = Commands(log, queue, directory, Leases(database), catalogue)
        warming = Warming(log, directory, catalogue, queue)
        ada = await directory.resolve(Identity(platform="console", workspace="", account="ada", name="Ada"))
        prompt = Prompt(id="p1", text="totals are off by a cent", author=ada)
        view = await commands.open_session(prompt, Origin(platform="web"))
        channels = ChannelRuleBook(database, directory, catalogue, Audit(database))
        picks = Picks(database)
        routing = Routing(log, commands, catalogue, classifier, warming, channels, picks)
        await routing.route_session(view.id)
        assert (await log.view(view.id)).state == state
        assert (await queue.status("warm_box", "acme/billing", 0) == "queued") == warm
