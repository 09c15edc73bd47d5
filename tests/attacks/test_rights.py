"""Work is had done, or let out, by whoever may not.

Asset: what people's own rights and their yes stand for. Attacker: somebody in the chat without the right; a
worker that asks the broker for what nobody approved; another program of the machine. Path: a request, a
reaction, the broker's socket. Control: an account that may write, asked of the forge each time; roles;
approvals bound to the commit and the words that were shown, read by the broker in the record itself; and
the user at the other end of the socket, as the kernel names it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from sandbox.broker import wire
from sandbox.broker.client import KINDS
from sandbox.broker.desk import DeskParts, ForgeDesk, StorePlaces
from sandbox.broker.operations import Part, application
from sandbox.broker.rights import Rights
from sandbox.broker.socket_server import serving
from sandbox.proposal import merge_digest
from session import events as e
from session.audit import Audit
from session.broker import Broker, BrokerRefused
from session.catalogue import Approvals
from session.halt import KillSwitch
from session.view import SessionView
from tests.attacks.conftest import OpenHouse
from tests.attacks.frame import Control, refuted
from tests.journeys.house import AGENT, BILLING
from tests.journeys.steps import WHOLE
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.test_jobs import FINISH, FIX, PROPOSE
from tests.sandbox.workbench import git

_ASKED = "        try:\n            approval = await self._approved(case, asked)\n"
CONTROLS = (Control("sandbox/broker/desk.py", ((_ASKED, "        try:\n            approval = None\n"),)),)
PROOF = "test_a_worker_lets_nothing_out_that_nobody_approved"

OTHERS: Mapping[int, frozenset[Part]] = {54001: frozenset({"bot"}), 54002: frozenset({"worker"})}
STRANGER = 54003


async def test_in_the_chat_nobody_gets_past_their_rights(open_house: OpenHouse) -> None:
    async with open_house() as house:
        bob = await house.member("Bob", linked=False)
        unlinked = await bob.asks("round half a cent up")
        await unlinked.hears("Bob has no linked account on github")
        await unlinked.is_told()
        refuted(await house.environment.list() == [], "somebody without an account got a box")

        ada, grace = await house.member("Ada"), await house.member("Grace")
        eve = house.outsider("Eve")
        linus, peter = (
            await house.member("Linus", role="viewer"),
            await house.member("Peter", role="prompter"),
        )
        house.model.script(AGENT, *WHOLE)
        thread = await ada.asks("round half a cent up")
        asked = await thread.hears("May I publish this?")
        for person, words in (
            (eve, "I take requests from full members here, not from guests."),
            (linus, "Thanks, Linus, but your role here does not include approving."),
            (peter, "Thanks, Peter, but your role here does not include approving."),
        ):
            await person.reacts("white_check_mark", asked)
            await thread.hears(words)
            state = (await thread.view()).approvals[0].state
            refuted(state == "open", f"{person.name}'s ✅ counted")

        house.github.grant(ada.login, BILLING, "read")
        await grace.reacts("white_check_mark", asked)
        await thread.hears("Half a cent is now rounded up.")
        view = await thread.view()
        refuted(house.github.repository(BILLING).pulls == {}, "a pull request came out of a right taken away")
        refuted(view.published is None, "a branch came out of a right taken away")
        told = [
            event.output for event in await thread.events(e.ToolReturned) if event.tool == "open_pull_request"
        ]
        assert "Ada (ada) may not write to acme/billing on github." in told[0]
        await thread.is_told()


def publication(view: SessionView, **changed: object) -> wire.PublishBranch:
    """What an honest worker asks for once the session's pull request is approved, but for what is changed."""
    assert view.changes is not None
    item = next(item for item in view.approvals if item.request.kind == "pull_request")
    honest = wire.PublishBranch(
        session_id=view.id,
        head_sha=view.changes.head_sha,
        branch=f"bellhop/{view.id}/sum-invoice-lines-rightly",
        title="Sum invoice lines rightly",
        body="It added one.",
        draft=False,
        approval_id=item.request.approval_id,
        expected=None,
    )
    return honest.model_copy(update=changed)


async def test_a_worker_lets_nothing_out_that_nobody_approved() -> None:
    async with household() as house:
        house.model.script(MODEL, FIX, PROPOSE, FIX, PROPOSE)
        view, other = await house.run(await house.opened()), await house.run(await house.opened())
        theirs = other.approvals[0].request.approval_id
        await house.commands.approve(other.id, theirs, house.grace)
        await house.log.record(other.id, lambda _: [e.ApprovalUsed(approval_id=theirs)])
        own = view.approvals[0].request.approval_id
        quarantine = house.home / "quarantine" / view.id / "acme/billing.git"
        unseen = git(quarantine, "rev-parse", "refs/bellhop/checkpoint")
        before = branches(house)
        async with Broker(house.parts.settings.broker_address) as broker:

            async def tried(what: str, why: str, **changed: object) -> None:
                refusal = await refusal_of(broker, publication(view, **changed))
                refuted(branches(house) == before, f"{what} was published")
                assert why in refusal

            await tried("what nobody was asked for", "needs somebody's ✅ first", approval_id=None)
            await tried("what an invented approval names", "Nobody was asked", approval_id="invented")
            await tried("what was approved in another session", "Nobody was asked", approval_id=theirs)
            await tried("what nobody said yes to yet", "is open, so it lets nothing out")
            await house.commands.approve(view.id, own, house.grace)
            await tried("what is not decided on", "is given, so it lets nothing out")
            await house.log.record(view.id, lambda _: [e.ApprovalUsed(approval_id=own)])
            await tried("another title", "is not what is to be published", title="Something else")
            await tried("another text", "is not what is to be published", body="Trust me.")
            await tried("another commit", "is not what is to be published", head_sha=unseen)
            await tried("another branch", "is not what is to be published", branch="main")
            await house.parts.directory.set_role(house.grace.id, "prompter")
            await tried("what an approver of before said yes to", "Grace may not approve this")
            await house.parts.directory.set_role(house.grace.id, "approver")
            # The same request as it was approved is what all of these only pretended to be.
            await broker.call("forge.publish", publication(view), wire.BranchIsOut)
            assert branches(house) != before


async def refusal_of(broker: Broker, asked: wire.PublishBranch) -> str:
    """Why that is not published; empty when it is."""
    try:
        await broker.call("forge.publish", asked, wire.BranchIsOut)
    except BrokerRefused as refusal:
        return str(refusal)
    return ""


def branches(house: Household) -> str:
    """What is on the forge."""
    return git(house.home / "billing.git", "for-each-ref", "--format=%(refname) %(objectname)")


async def test_nobody_merges_what_they_asked_for() -> None:
    async with household(approvals=Approvals(pull_request="auto", merge="ask")) as house:
        house.model.script(MODEL, FIX, PROPOSE, FINISH)
        view = await house.run(await house.opened())
        assert view.pull_request is not None
        asked = view.open_approvals[0].request
        # A worker that writes down what no command would have let Ada say.
        given = e.ApprovalGiven(approval_id=asked.approval_id, digest=asked.digest, by=house.ada)
        await house.log.record(view.id, lambda _: [given, e.ApprovalUsed(approval_id=asked.approval_id)])
        async with Broker(house.parts.settings.broker_address) as broker:
            merge = wire.Merge(session_id=view.id, approval_id=asked.approval_id)
            with pytest.raises(BrokerRefused, match="Ada may not approve this"):
                await broker.call("forge.merge", merge, wire.PullRequestIs)
        main = git(house.home / "billing.git", "show", "main:billing/invoice.py")
        refuted("+ 1" in main, "the author's own yes merged the change")
        assert asked.digest == merge_digest(BILLING, view.pull_request.number, view.pull_request.head_sha)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to act as other users")
async def test_the_socket_knows_who_is_who(bellhop_home: Path) -> None:
    async with household() as house:
        view = await house.run(await proposed(house))
        desk = ForgeDesk(
            DeskParts(
                log=house.log,
                catalogue=house.parts.catalogue,
                directory=house.parts.directory,
                forges={house.forge.name: house.forge},
                rights=Rights({}),
                audit=Audit(house.database),
                switch=KillSwitch(house.database),
                places=StorePlaces.under(house.home),
            )
        )
        await asyncio.to_thread(bellhop_home.chmod, 0o755)
        socket = bellhop_home / "broker.sock"
        async with serving(application(desk.operations(), KINDS), socket, OTHERS):
            asked = publication(view, approval_id=None).model_dump_json()
            for operation in ("forge.publish", "forge.merge", "forge.prepare", "quarantine.receive"):
                said = await as_user(54001, socket, operation, asked)
                refuted("not_yours" in said, f"the bot was answered {operation}: {said}")
            said = await as_user(STRANGER, socket, "forge.prepare", asked)
            refuted(said == "", f"a stranger was answered: {said}")
            assert "not_approved" in await as_user(54002, socket, "forge.publish", asked)


async def proposed(house: Household) -> str:
    """A session that will wait for its pull request to be approved."""
    house.model.script(MODEL, FIX, PROPOSE)
    return await house.opened()


async def as_user(uid: int, socket: Path, operation: str, body: str) -> str:
    """What a program of that user hears from the socket."""
    process = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--unix-socket", str(socket), "--data", body, f"http://broker/v1/{operation}"),
        stdout=asyncio.subprocess.PIPE,
        user=uid,
        group=uid,
        extra_groups=[],
        cwd="/",
    )
    said, _ = await process.communicate()
    return said.decode()
