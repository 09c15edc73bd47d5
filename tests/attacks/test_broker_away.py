"""The broker is killed in the middle of a run, or what it does cannot be put on record.

Asset: what may only be done with the broker's knowledge and on the audit. Attacker: whoever kills the
broker, or takes the audit's table away, so as to act unseen. Path: a turn under way, and an approval given
meanwhile. Control: nobody else holds a credential, and the broker does nothing that it cannot record; what
is refused is said in the thread, nothing is lost, and the work goes on once both are back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from sandbox.broker import wire
from session import events as e
from session.audit import Audit
from session.broker import BrokerDown
from session.catalogue import Approvals
from tests.attacks.frame import Control, refuted
from tests.faults.processes import MODEL, House, Program, house
from tests.faults.work import assert_done_once, held_work, reached, work
from tests.provision.valkey import ValkeyServer
from tests.sandbox.household import MODEL as HOUSEHOLD_MODEL
from tests.sandbox.household import household
from tests.sandbox.test_jobs import FINISH as DONE
from tests.sandbox.test_jobs import FIX as MEND
from tests.sandbox.test_jobs import PROPOSE as OFFER
from tests.sandbox.workbench import git

_UNRECORDED = '            return Audited(0, datetime.now(UTC), entry, "", "")\n'
CONTROLS = (
    Control(
        "session/audit.py",
        (("            raise AuditDown(\n", f"{_UNRECORDED}            raise AuditDown(\n"),),
    ),
)
PROOF = "test_nothing_leaves_that_is_not_on_record"

BROKER_AWAY = "The broker, which holds all credentials, does not answer."
NOT_ON_RECORD = "What I do cannot be put on record at the moment"


async def test_nothing_leaves_that_is_not_on_record() -> None:
    async with household(approvals=Approvals(pull_request="ask")) as house:
        house.model.script(HOUSEHOLD_MODEL, MEND, OFFER)
        view = await house.run(await house.opened())
        await house.commands.approve(view.id, view.open_approvals[0].request.approval_id, house.grace)
        await house.database.execute("ALTER TABLE audit RENAME TO audit_away")
        view = await house.run(view.id)
        branches = git(house.home / "billing.git", "branch", "--list", "bellhop/*")
        refuted(branches == "" and view.pull_request is None, "work was published that is on no record")
        assert view.state == "paused", view.failure
        [paused] = [event for event in await house.events(view.id) if isinstance(event, e.TurnPaused)]
        assert NOT_ON_RECORD in paused.cause

        await house.database.execute("ALTER TABLE audit_away RENAME TO audit")
        house.model.script(HOUSEHOLD_MODEL, DONE)
        view = await house.run(view.id)
        assert (view.state, view.answer) == ("idle", "The total is right now.")
        assert view.pull_request is not None
        actions = [row.entry.action for row in await Audit(house.database).page(None, 100, view.id)]
        assert {"forge.publish", "forge.open"} <= set(actions)


async def test_a_killed_broker_takes_nothing_with_it(
    postgres_database: str, redis_url: str, valkey_server: ValkeyServer
) -> None:
    async with house(postgres_database, valkey_server) as made:
        held = held_work(made)
        session_id = await made.opened()
        await reached(held)
        await made.broker.kill()
        held.release()
        await is_told(made, session_id, BROKER_AWAY)
        asked = wire.InSession(session_id=session_id)
        with pytest.raises(BrokerDown):
            await made.core.broker.call("forge.prepare", asked, wire.Prepared)
        made.model.play(MODEL, work)
        refuted(made.pull_requests() == [], "a pull request came out without the broker")
        made.broker = await Program.start("broker", made.environment, made.home / "broker-again.log")

        question = await made.hears(session_id, lambda message: message.asks)
        async with without_audit(postgres_database):
            await made.console.people.react("✅", "Ada", on=question.id)
            await is_told(made, session_id, NOT_ON_RECORD)
            refuted(made.pull_requests() == [], "a pull request came out that is on no record")
            refuted(git(made.bare, "branch", "--list", "bellhop/*") == "", "so did a branch")
        await assert_done_once(made, session_id)


async def is_told(made: House, session_id: str, words: str) -> None:
    """Returns once the turn is paused for that reason, and the card says so."""
    async with asyncio.timeout(60):
        async for record in made.core.log.follow(session_id):
            if isinstance(record.event, e.TurnPaused) and words in record.event.cause:
                break
    await made.hears(session_id, lambda message: message.kind == "card" and words in message.text)


@asynccontextmanager
async def without_audit(database_url: str) -> AsyncIterator[None]:
    """A superuser has put the audit's table out of reach."""
    parts = urlsplit(database_url)
    connection = await asyncpg.connect(urlunsplit(parts._replace(scheme="postgresql")))
    try:
        await connection.execute("ALTER TABLE audit RENAME TO audit_away")
        yield
        await connection.execute("ALTER TABLE audit_away RENAME TO audit")
    finally:
        await connection.close()
