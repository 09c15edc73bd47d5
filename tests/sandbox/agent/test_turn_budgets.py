"""What a turn does about its session's budgets, with the broker on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import pytest

from deploy.demo.replies import Reply, ScriptedUsage
from sandbox.agent.calls import CallRunner
from sandbox.agent.limits import TurnLimits
from sandbox.agent.model import Model, ModelMessage, ModelReply, OnText, ToolSchema
from sandbox.agent.model_catalogue import ModelCatalogue
from sandbox.agent.tool import Arguments, Finished, Tool, ToolOutcome, ToolResult
from sandbox.agent.tool_context import ToolContext
from sandbox.agent.turn import Ending, TurnLoop
from sandbox.agent.turn_budgets import BrokerBudgets, BudgetPolicy, TurnBudgets
from sandbox.agent.turn_log import StopSeen, TurnLog
from session import events as e
from session.catalogue import Approvals
from session.leases import Leases
from session.policy import Budgets, policy_version
from session.view import ApprovalView
from tests.emulators.model.turns import tool
from tests.sandbox.broker.gateways import ADA, PRICED, SESSION, GatewayStage, gateway_stage

if TYPE_CHECKING:
    from sandbox.workspace import Workspace

E = TypeVar("E", bound=e.Event)

DEAR = ScriptedUsage(100, 400)
WORK, MORE, YET_MORE = (Reply(tool_calls=tool("work", step=step).tool_calls, usage=DEAR) for step in range(3))
FINISH = Reply(tool_calls=tool("finish").tool_calls, usage=ScriptedUsage(1, 1))
"""Each `WORK` uses 500 tokens and $0.0009, `FINISH` next to nothing."""


class Step(Arguments):
    """Which step it is, so that none repeats another."""

    step: int = 0


class Work:
    """A tool that works without a box."""

    name = "work"
    description = "Works."
    arguments: type[Arguments] = Step
    mutates = True
    journaled = False
    at_once = True

    def action(self, arguments: Arguments) -> str:
        return "working"

    async def run(self, context: ToolContext, arguments: Arguments) -> ToolOutcome:
        return ToolResult("worked")


class Finish(Work):
    """The tool that ends the turn."""

    name = "finish"
    description = "Ends."

    async def run(self, context: ToolContext, arguments: Arguments) -> ToolOutcome:
        return Finished("All done.")


class Surroundings:
    """As much of a call's surroundings as calls look at that need no box."""

    @property
    def commands(self) -> Surroundings:
        return self

    @property
    def plans(self) -> Surroundings:
        return self

    def never_ran(self, call_id: str) -> bool:
        """No call was held back."""
        return False

    def refusal(self, tool: Tool[Arguments]) -> str:
        """No call has to wait."""
        return ""


class NoBox:
    """As much of a workspace as calls look at that need no box."""

    is_new = False
    runner = None

    async def admit(self, *, at_once: bool) -> None:
        """Nothing is waited for."""


class Clock:
    """The time, moved forward by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Turn:
    """One turn of the session, as one worker after another would drive it."""

    def __init__(self, stage: GatewayStage, clock: Clock) -> None:
        self._stage = stage
        self._clock = clock

    async def begin(self) -> None:
        """The prompt is taken up."""
        started = e.TurnStarted(turn_id="t-1", prompt_id="p1", model="m", epoch=1)
        ready = e.SandboxReady(backend="local", isolation="none", box="b", image="i")
        await self._stage.log.record(SESSION, lambda _: [started, ready])

    async def drive(self, *turns: Reply, model: Model | None = None) -> Ending:
        """How the loop ended after those answers of the model."""
        self._stage.emulator.script("m", *turns)
        leases = Leases(self._stage.database)
        lease = await leases.acquire(SESSION, "worker")
        assert lease is not None
        log = TurnLog(self._stage.log, SESSION, lease.epoch)
        await log.catch_up()
        repository = self._stage.repository
        asks = repository.approvals.budget == "ask"
        policy = BudgetPolicy(asks, policy_version(repository), approval_minutes=30)
        tools: dict[str, Tool[Arguments]] = {"work": Work(), "finish": Finish()}
        loop = TurnLoop(
            turn=log,
            model=model or self._stage.model(),
            spec=PRICED,
            models=ModelCatalogue({"m": PRICED}),
            calls=CallRunner(tools, log, cast("Workspace", NoBox()), _surroundings),
            limits=TurnLimits(100),
            system="Work.",
            on_text=_unheard,
            budgets=TurnBudgets(log, BrokerBudgets(self._stage.broker), policy, self._clock),
        )
        try:
            return await loop.run()
        finally:
            await leases.release(lease)

    async def decide(self, *events: e.Event) -> None:
        """People decide."""
        await self._stage.log.record(SESSION, lambda _: events)

    async def asked(self) -> list[ApprovalView]:
        """What people were asked, oldest first."""
        return list((await self._stage.log.view(SESSION)).approvals)

    async def say(self, word: type[e.ApprovalGiven] | type[e.ApprovalRefused]) -> None:
        """The answer to what is asked last."""
        request = (await self.asked())[-1].request
        if word is e.ApprovalGiven:
            await self.decide(e.ApprovalGiven(approval_id=request.approval_id, digest=request.digest, by=ADA))
        else:
            await self.decide(e.ApprovalRefused(approval_id=request.approval_id, by=ADA))

    async def happened(self, kind: type[E]) -> list[E]:
        """Events of that kind, oldest first."""
        return [r.event for r in await self._stage.log.read(SESSION) if isinstance(r.event, kind)]


def _surroundings(call_id: str) -> ToolContext:
    return cast("ToolContext", Surroundings())


async def _unheard(text: str) -> None:
    """Nobody listens to words in flight."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits() -> Budgets:
    return Budgets(tokens=1000)


@pytest.fixture
def approvals() -> Approvals:
    return Approvals()


@pytest.fixture
async def stage(
    tmp_path: Path, bellhop_home: Path, limits: Budgets, approvals: Approvals
) -> AsyncIterator[GatewayStage]:
    url = f"sqlite://{tmp_path / 'bellhop.db'}"
    async with gateway_stage(url, bellhop_home, limits=limits, approvals=approvals) as stage:
        yield stage


@pytest.fixture
async def turn(stage: GatewayStage, clock: Clock) -> Turn:
    turn = Turn(stage, clock)
    await turn.begin()
    return turn


async def test_within_its_budgets_a_turn_just_ends(stage: GatewayStage, turn: Turn) -> None:
    assert (await turn.drive(WORK, FINISH)).kind == "finished"
    assert await turn.asked() == []
    assert await turn.happened(e.BudgetWarned) == []
    spent = await stage.spending.spent(SESSION)
    assert (spent["tokens"], spent["tool_calls"]) == (502, 2)


@pytest.mark.parametrize("limits", [Budgets(tokens=1200)])
async def test_most_of_a_budget_is_told_once(turn: Turn, stage: GatewayStage) -> None:
    assert (await turn.drive(WORK, MORE, FINISH)).kind == "finished"
    warnings = await turn.happened(e.BudgetWarned)
    assert [warning.budget for warning in warnings] == ["tokens"]
    assert warnings[0].text == (
        "83% of this session's budget of tokens is used: 1,000 tokens of 1,200 tokens."
    )
    assert (await turn.happened(e.NoteAdded))[0].text.startswith(warnings[0].text)
    last = stage.emulator.requests[-1]
    assert any(warnings[0].text in message.text for message in last.messages)


async def test_at_the_limit_the_turn_asks_and_goes_on_where_it_stopped(
    turn: Turn, stage: GatewayStage
) -> None:
    assert (await turn.drive(WORK, MORE)).kind == "suspended"
    (asked,) = await turn.asked()
    assert (asked.request.kind, asked.request.subject, asked.request.blocking) == ("budget", "tokens", True)
    assert "1,000 tokens of 1,000 tokens" in asked.request.detail
    assert "up to 2,000 tokens in all" in asked.request.detail
    assert (await turn.drive()).kind == "suspended"
    assert len(await turn.asked()) == 1
    await turn.say(e.ApprovalGiven)
    assert (await turn.drive(FINISH)).kind == "finished"
    assert [item.state for item in await turn.asked()] == ["used"]
    assert len(stage.emulator.requests) == 3


@pytest.mark.parametrize("limits", [Budgets(tokens=600)])
async def test_each_further_allowance_is_warned_about_and_asked_anew(turn: Turn) -> None:
    await turn.drive(WORK, MORE)
    await turn.say(e.ApprovalGiven)
    await turn.drive(YET_MORE)
    states = [(item.state, item.request.subject) for item in await turn.asked()]
    assert states == [("used", "tokens"), ("open", "tokens")]
    first, second = [item.request.digest for item in await turn.asked()]
    assert first != second
    words = [warning.text.split(": ")[1] for warning in await turn.happened(e.BudgetWarned)]
    assert words == ["500 tokens of 600 tokens.", "1,000 tokens of 1,200 tokens."]


async def test_a_no_ends_the_turn_and_says_so(turn: Turn) -> None:
    await turn.drive(WORK, MORE)
    await turn.say(e.ApprovalRefused)
    ending = await turn.drive()
    assert ending.kind == "failed"
    assert isinstance(ending.event, e.TurnFailed)
    assert "Ada did not want more" in ending.event.cause
    assert "saved" in ending.event.advice


@pytest.mark.parametrize("approvals", [Approvals(budget="off")])
async def test_where_nobody_is_asked_the_turn_ends(turn: Turn) -> None:
    ending = await turn.drive(WORK, MORE)
    assert isinstance(ending.event, e.TurnFailed)
    assert "does not ask" in ending.event.cause
    assert await turn.asked() == []


@pytest.mark.parametrize("limits", [Budgets(tool_calls=2)])
async def test_tool_calls_count(turn: Turn) -> None:
    assert (await turn.drive(WORK, MORE)).kind == "suspended"
    assert (await turn.asked())[0].request.subject == "tool_calls"


@pytest.mark.parametrize("limits", [Budgets(wall_minutes=10)])
async def test_time_counts_while_a_turn_runs(turn: Turn, clock: Clock, stage: GatewayStage) -> None:
    await stage.spending.spend(SESSION, {"wall_minutes": 599})
    ticking = TickingModel(stage.model(), clock, 1)
    assert (await turn.drive(WORK, model=ticking)).kind == "suspended"
    assert (await turn.asked())[0].request.detail.startswith(
        "This session has used up its budget of working time: 10 minutes of 10 minutes."
    )


async def test_a_yes_that_ran_out_is_asked_for_again(turn: Turn, stage: GatewayStage) -> None:
    await turn.drive(WORK, MORE)
    request = (await turn.asked())[-1].request
    late = request.model_copy(update={"expires_at": await stage.database.clock(), "approval_id": "late"})
    await turn.decide(
        e.ApprovalVoided(approval_id=request.approval_id, reason="it is old"),
        late,
        e.ApprovalGiven(approval_id="late", digest=late.digest, by=ADA),
    )
    assert (await turn.drive()).kind == "suspended"
    assert [item.state for item in await turn.asked()] == ["voided", "voided", "open"]


async def test_a_budget_that_the_gateway_finds_spent_is_asked_about(turn: Turn, stage: GatewayStage) -> None:
    spender = SpendingModel(stage)
    assert (await turn.drive(model=spender)).kind == "suspended"
    assert (await turn.asked())[0].request.subject == "tokens"
    assert stage.emulator.requests == []


async def test_a_switch_that_is_off_is_a_stop(turn: Turn, stage: GatewayStage) -> None:
    await stage.switch.engage(ADA, "")
    with pytest.raises(StopSeen):
        await turn.drive()


async def test_without_the_broker_the_turn_waits(turn: Turn, stage: GatewayStage) -> None:
    (stage.home / "broker.sock").unlink()
    ending = await turn.drive()
    assert isinstance(ending.event, e.TurnPaused)
    assert "broker" in ending.event.cause


@dataclass(frozen=True, slots=True)
class TickingModel:
    """The model, each of whose answers takes a second by that clock."""

    model: Model
    clock: Clock
    seconds: float

    async def reply(
        self, messages: Sequence[ModelMessage], tools: Sequence[ToolSchema], *, on_text: OnText | None = None
    ) -> ModelReply:
        """Its answer."""
        self.clock.now += self.seconds
        return await self.model.reply(messages, tools, on_text=on_text)


@dataclass(frozen=True, slots=True)
class SpendingModel:
    """The model, before each of whose answers somebody else has used up the budget."""

    stage: GatewayStage

    async def reply(
        self, messages: Sequence[ModelMessage], tools: Sequence[ToolSchema], *, on_text: OnText | None = None
    ) -> ModelReply:
        """Its answer."""
        await self.stage.spending.spend(SESSION, {"tokens": 1000})
        return await self.stage.model().reply(messages, tools, on_text=on_text)
