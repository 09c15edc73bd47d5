"""One turn from its first event to its last: rights, base, box, agent, and what must be saved before the
end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import structlog

from sandbox.agent.calls import CallRunner
from sandbox.agent.limits import TurnLimits
from sandbox.agent.model import Model, OnText
from sandbox.agent.model_catalogue import ModelCatalogue
from sandbox.agent.prompt import RepositoryFacts, system_prompt
from sandbox.agent.tool import Arguments, Tool
from sandbox.agent.tool_context import ToolContext
from sandbox.agent.turn import Ending, TurnLoop
from sandbox.agent.turn_budgets import BrokerBudgets, BudgetPolicy, TurnBudgets
from sandbox.agent.turn_log import TurnLog
from sandbox.base_commit import BaseCommit, read_base
from sandbox.broker.client import BrokerForge, BrokerUnavailable
from sandbox.broker.quarantine import Quarantine
from sandbox.bundles import Bundles
from sandbox.disk_watch import DiskWatch
from sandbox.doors import WorkerDoors
from sandbox.environments.protocol import Environment
from sandbox.images.ready_images import ReadyImages
from sandbox.mcp_tools import McpOffer, mcp_approvals, mcp_offer
from sandbox.merging import merge_request
from sandbox.policy.egress import EgressWatch
from sandbox.policy.permission import CommandPermission
from sandbox.policy.plan_gate import PlanGate
from sandbox.policy.rule_of_two import untrusted_reads
from sandbox.publication import Publication, PublicationParts
from sandbox.session_boxes import SessionBoxes
from sandbox.snapshots import SnapshotKeeper
from sandbox.verification import Verifier
from sandbox.workspace import Workspace, save_quietly
from session import events as e
from session.access import merge_excluded
from session.artifacts import Artifacts
from session.broker import Broker, BrokerDown, BrokerRefused
from session.catalogue import Catalogue
from session.directory import Directory
from session.effects import Effects
from session.halt import KillSwitch
from session.parts import away, back, queue_back
from session.policy import policy_version
from session.pulse import Pulse
from session.settings import Settings
from session.view import SessionView
from skills.library import SkillSet, SkillSource, load_skills

log = structlog.get_logger()

TOKEN_INTERVAL_SECONDS = 0.05
"""Least time between two publications of words in flight: faster than anybody reads, slower than they
come."""


@dataclass(frozen=True, slots=True)
class Places:
    """A worker's directories: bundles by repository, and what boxes see of the host."""

    bundles: Path
    inbound: Path

    @classmethod
    def under(cls, home: Path) -> Places:
        """The usual places below BELLHOP_HOME."""
        return cls(home / "bundles", home / "inbound")


@dataclass(frozen=True, slots=True)
class DriverParts:
    """What a turn needs of the house.

    `model` gives the client of a model by its id, for the session with that id. `skills` are the sources
    after the repository's own, nearest first.
    """

    environment: Environment
    boxes: SessionBoxes
    forge: BrokerForge
    doors: WorkerDoors
    images: ReadyImages
    snapshots: SnapshotKeeper
    disk: DiskWatch
    broker: Broker
    switch: KillSwitch
    catalogue: Catalogue
    directory: Directory
    effects: Effects
    artifacts: Artifacts
    pulse: Pulse
    models: ModelCatalogue
    model: Callable[[str, str], Model]
    tools: Mapping[str, Tool[Arguments]]
    skills: Sequence[SkillSource]
    settings: Settings
    places: Places


class TurnDriver:
    """Drives turns. One object serves all sessions of a worker."""

    def __init__(self, parts: DriverParts) -> None:
        self._parts = parts
        self._bundles = Bundles(parts.places.bundles)
        self._verifier = Verifier(
            parts.environment, self._bundles, parts.doors, parts.images, parts.disk, parts.places.inbound
        )

    async def take_up(self, turn: TurnLog) -> None:
        """The session's unfinished turn is taken up again, or the next prompt's turn is started.

        Emits: TurnStarted or TurnResumed; PartRecovered when it was noted that the job queue was away.
        """
        view = turn.view
        if view.turn is not None and view.turn_open:
            reason = _resume_reason(view)
            resumed = e.TurnResumed(turn_id=view.turn.turn_id, epoch=turn.epoch, reason=reason)
            await turn.append(resumed, *queue_back(view))
            return
        prompt = view.waiting_prompts[0].prompt
        model = prompt.model or view.model or self._parts.settings.agent_model
        await turn.start(
            e.TurnStarted(turn_id=uuid4().hex[:16], prompt_id=prompt.id, model=model, epoch=turn.epoch)
        )
        await turn.append(*queue_back(turn.view))

    async def drive(self, turn: TurnLog) -> None:
        """The turn is run as far as it goes.

        Raises: what preparing and running may raise; see `sandbox/failures.py` for how each is told.
        """
        at_work = [item.prompt for item in turn.view.prompts if item.state == "running"]
        await turn.append(*untrusted_reads(turn.view, at_work))
        await self._parts.disk.admit(await self._parts.boxes.name(turn.session_id))
        base, quarantine = await self._base(turn)
        await turn.append(*back(turn.view, "broker"), *back(turn.view, "audit"))
        workspace = self._workspace(turn, base, quarantine)
        try:
            await workspace.open()
            publication = Publication(turn, workspace, base, quarantine, self._publication_parts())
            offer = await self._offer(turn, base)
            ending = await self._loop(turn, base, workspace, publication, offer).run()
            await self._end(turn, base, workspace, ending)
        finally:
            await workspace.close()

    async def still(self, turn: TurnLog) -> None:
        """After a stop: the work saved, and every process of the box ended. Nothing is made that is not
        there.

        Emits: PartDegraded where the work could not be saved.
        """
        environment = self._parts.environment
        name = await self._parts.boxes.name(turn.session_id)
        there = await environment.find(name)
        if there is None or not there.running or await self._parts.boxes.is_left(name):
            return
        try:
            await self._save_stopped(turn)
        finally:
            await environment.end(name)

    async def _save_stopped(self, turn: TurnLog) -> None:
        base, quarantine = await self._base(turn, check_rights=False)
        workspace = self._workspace(turn, base, quarantine)
        try:
            await workspace.attach()
            if not await workspace.holds_work():
                return
            unsaved = await save_quietly(workspace, turn.session_id)
            if unsaved:
                await turn.note(lambda view: away(view, "sandbox", unsaved))
            else:
                workspace.ask_for_snapshot()
        finally:
            await workspace.close()

    def _workspace(self, turn: TurnLog, base: BaseCommit, quarantine: Quarantine) -> Workspace:
        parts = self._parts
        return Workspace(
            turn,
            parts.environment,
            parts.boxes,
            base,
            quarantine,
            self._bundles,
            parts.doors,
            parts.images,
            parts.snapshots,
            parts.places.inbound,
        )

    async def _base(self, turn: TurnLog, *, check_rights: bool = True) -> tuple[BaseCommit, Quarantine]:
        chosen = turn.view.repository
        assert chosen is not None, "a turn never starts before its repository is known"
        repository = self._parts.catalogue.get(chosen.slug)
        if check_rights:
            await self._parts.forge.require_write(turn.session_id, turn.author, fresh=False)
        prepared = await self._parts.forge.prepare(turn.session_id)
        branch = chosen.branch or repository.default_branch
        return await read_base(repository, prepared.mirror, branch), prepared.quarantine

    def _publication_parts(self) -> PublicationParts:
        parts = self._parts
        return PublicationParts(
            forge=parts.forge,
            effects=parts.effects,
            artifacts=parts.artifacts,
            verifier=self._verifier,
            approval_minutes=parts.settings.approval_minutes,
        )

    async def _offer(self, turn: TurnLog, base: BaseCommit) -> McpOffer:
        """Tools of the repository's tool servers. People are asked about those that have changed.

        Emits: ApprovalRequested, ApprovalVoided; NoteAdded about servers that do not answer.
        """
        if not base.repository.mcp:
            return McpOffer({})
        try:
            offer = await mcp_offer(self._parts.broker, turn.session_id)
        except (BrokerDown, BrokerRefused) as error:
            raise BrokerUnavailable(str(error)) from error
        # The broker may just have recorded that a yes to a changed tool took effect.
        await turn.catch_up()
        version, minutes = policy_version(base.repository), self._parts.settings.approval_minutes
        asked = mcp_approvals(turn.view, offer.waiting, version, await turn.clock(), minutes)
        told = {r.event.text for r in turn.turn_records if isinstance(r.event, e.NoteAdded)}
        notes = [
            e.NoteAdded(turn_id=turn.turn_id, text=problem)
            for problem in offer.problems
            if problem not in told
        ]
        await turn.append(*asked, *notes)
        return offer

    def _loop(
        self,
        turn: TurnLog,
        base: BaseCommit,
        workspace: Workspace,
        publication: Publication,
        offer: McpOffer,
    ) -> TurnLoop:
        parts = self._parts
        assert turn.view.turn is not None
        model_id = turn.view.turn.model
        skills = load_skills([*base.skills, *parts.skills])
        for problem in skills.problems:
            log.warning("skill left out", session_id=turn.session_id, problem=problem)

        minutes = parts.settings.approval_minutes
        commands = CommandPermission(turn, base.repository, base.rules, minutes)
        egress = EgressWatch(turn, base.repository, parts.doors, workspace.box, minutes)
        plans = PlanGate(turn, base.repository, minutes)

        def context(call_id: str) -> ToolContext:
            return ToolContext(
                call_id, turn, workspace, publication, skills, base.instructions, commands, egress, plans
            )

        return TurnLoop(
            turn=turn,
            model=parts.model(model_id, turn.session_id),
            spec=parts.models.spec(model_id),
            models=parts.models,
            calls=CallRunner({**parts.tools, **offer.tools}, turn, workspace, context, parts.switch.halted),
            limits=TurnLimits(parts.settings.max_steps),
            system=_system(base, workspace, skills),
            on_text=self._on_text(turn),
            budgets=TurnBudgets(turn, BrokerBudgets(parts.broker), _budget_policy(base, minutes)),
        )

    def _on_text(self, turn: TurnLog) -> OnText:
        last = 0.0

        async def publish(text: str) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= TOKEN_INTERVAL_SECONDS:
                last = now
                await self._parts.pulse.publish_tokens(turn.session_id, turn.turn_id, text)

        return publish

    async def _end(self, turn: TurnLog, base: BaseCommit, workspace: Workspace, ending: Ending) -> None:
        """Save the work, then say that the turn ended. What is done beside the agent has to be done first.

        Raises: what that raised.
        """
        await workspace.admit(at_once=False)
        unsaved = await save_quietly(workspace, turn.session_id)
        events = list(ending.before)
        events += away(turn.view, "sandbox", unsaved) if unsaved else back(turn.view, "sandbox")
        if ending.event is not None:
            events.append(ending.event)
        if isinstance(ending.event, e.TurnFinished):
            excluded = merge_excluded(turn.view, await self._parts.directory.approvers())
            minutes = self._parts.settings.approval_minutes
            merge = merge_request(turn.view, base.repository, excluded, minutes)
            events += [merge] if merge else []
        await (turn.begin(*events) if isinstance(ending.event, e.TurnFinished) else turn.append(*events))
        if ending.event is not None and not unsaved:
            workspace.ask_for_snapshot()


def _budget_policy(base: BaseCommit, minutes: float) -> BudgetPolicy:
    asks = base.repository.approvals.budget == "ask"
    return BudgetPolicy(asks, policy_version(base.repository), minutes)


def _system(base: BaseCommit, workspace: Workspace, skills: SkillSet) -> str:
    facts = RepositoryFacts(
        slug=base.repository.slug,
        base_branch=base.branch,
        workspace=workspace.path,
        description=base.repository.description,
        setup=base.setup,
        verify=base.verify,
        instructions=base.instructions.root,
        plan_first=base.repository.approvals.plan == "ask",
        services=base.services.names,
    )
    return system_prompt(facts, skills.skills)


def _resume_reason(view: SessionView) -> str:
    if view.state == "paused":
        return "what it waited for may be back"
    decided = [item for item in view.approvals if item.request.turn_id == (view.turn and view.turn.turn_id)]
    if decided and decided[-1].state in ("given", "refused", "voided") and view.turn:
        return f"the approval was {decided[-1].state}"
    return "a worker takes it up where it was left"
