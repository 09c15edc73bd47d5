"""The turn: ask the model, run the calls it asks for, record, repeat. All of it comes from the log and
goes there.

Because each step is decided from the records alone, going on after a crash, after an approval or after an
answer is the same as going on at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

from sandbox.agent import compaction, steps, stuck, transcript
from sandbox.agent.calls import CallRunner
from sandbox.agent.compaction import CompactionFailed
from sandbox.agent.limits import TurnLimits
from sandbox.agent.model import (
    BudgetSpent,
    ContextOverflow,
    Model,
    ModelHalted,
    ModelRefused,
    ModelUnavailable,
    OnText,
)
from sandbox.agent.model_catalogue import ModelCatalogue, ModelSpec
from sandbox.agent.stuck import Remark
from sandbox.agent.tool import Finished, Suspended, schema_of
from sandbox.agent.turn_budgets import ADVICE, TurnBudgets, Waits
from sandbox.agent.turn_log import StopSeen, TurnLog
from sandbox.policy.rule_of_two import untrusted_reads
from session import events as e

MALFORMED_ANSWERS = 3
"""So often an unreadable call is explained to the model; the next one fails the turn."""
SMALLER = "The work is saved. Ask for a smaller next step."
TROUBLES = (ModelUnavailable, ModelRefused, BudgetSpent, CompactionFailed)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the loop ended, and the event to record once the work is saved (None: it is recorded already);
    `before` is recorded right before it."""

    kind: Literal["finished", "suspended", "paused", "failed"]
    event: e.TurnFinished | e.TurnFailed | e.TurnPaused | None = None
    before: tuple[e.Event, ...] = ()


@dataclass(slots=True)
class TurnLoop:
    """One turn of the agent.

    `system` is the system prompt; `on_text` hears the answer while it is being written. `run` may be called
    for a turn that is new or half done. Without `budgets` only the gateway looks at them, and the turn fails.

    Raises: StopSeen, also while everything is switched off; TurnOver, StaleEpoch, SandboxFailed.
    """

    turn: TurnLog
    model: Model
    spec: ModelSpec
    models: ModelCatalogue
    calls: CallRunner
    limits: TurnLimits
    system: str
    on_text: OnText
    budgets: TurnBudgets | None = None
    _overflowed: bool = field(default=False, init=False)

    async def run(self) -> Ending:
        """Go on until the turn is finished, waits for a person or for the model, or fails."""
        while True:
            await self.turn.catch_up()
            ending = await self._step()
            if ending is not None:
                break
        if self.budgets is not None:
            await self.budgets.count()
        return ending

    async def _step(self) -> Ending | None:
        pending = steps.unanswered(self.turn.turn_records)
        if pending:
            outcome = await self.calls.run(pending)
            return self._ending(outcome) if outcome else None
        if await self._hand_over_steered():
            return None
        records = self.turn.turn_records
        if steps.waits_for_answer(records):
            return Ending("suspended")
        if steps.malformed_in_a_row(records, self.calls.tools) > MALFORMED_ANSWERS:
            return self._failed(
                f"{self.spec.id} called tools {MALFORMED_ANSWERS + 1} times in a way that cannot be read.",
                "Retry, or choose another model for this session.",
            )
        remark = stuck.look(records) or self.limits.look(records)
        if remark is not None:
            return await self._heed(remark)
        return await self._within_budgets() or await self._ask_model()

    def _ending(self, outcome: Suspended | Finished) -> Ending:
        if isinstance(outcome, Suspended):
            return Ending("suspended")
        finished = e.TurnFinished(
            turn_id=self.turn.turn_id, summary=outcome.summary, evidence=outcome.evidence
        )
        return Ending("finished", finished, outcome.events)

    def _failed(self, cause: str, advice: str) -> Ending:
        return Ending("failed", e.TurnFailed(turn_id=self.turn.turn_id, cause=cause, advice=advice))

    async def _hand_over_steered(self) -> bool:
        steered = [item.prompt for item in self.turn.view.waiting_prompts if item.prompt.steer]
        await self.turn.begin(
            *untrusted_reads(self.turn.view, steered),
            *(e.PromptSteered(prompt_id=prompt.id, turn_id=self.turn.turn_id) for prompt in steered),
        )
        return bool(steered)

    async def _heed(self, remark: Remark) -> Ending | None:
        turn_id = self.turn.turn_id
        if remark.kind == "finish":
            await self.turn.begin(steps.finishing_reply(turn_id, remark.text, self.spec.id))
            return None
        if remark.kind == "nudge":
            await self.turn.begin(e.NoteAdded(turn_id=turn_id, text=remark.text))
            return None
        question = e.QuestionAsked(
            question_id=uuid4().hex[:12], turn_id=turn_id, call_id="", text=remark.text
        )
        await self.turn.begin(question)
        return Ending("suspended")

    async def _within_budgets(self) -> Ending | None:
        match await self.budgets.look() if self.budgets is not None else None:
            case None:
                return None
            case Waits():
                return Ending("suspended")
            case e.TurnPaused() as paused:
                return Ending("paused", paused)
            case failed:
                return Ending("failed", failed)

    async def _ask_model(self) -> Ending | None:
        try:
            if compaction.is_due(self.turn.records, self.spec):
                await self._compact()
            messages = transcript.messages(self.turn.records, self.system, vision=self.spec.vision)
            tools = [schema_of(tool) for tool in self.calls.tools.values()]
            reply = await self.model.reply(messages, tools, on_text=self.on_text)
        except ContextOverflow as error:
            return await self._overflow(error)
        except ModelHalted as error:
            raise StopSeen(self.turn.session_id) from error
        except TROUBLES as error:
            return await self._trouble(error)
        self._overflowed = False
        await self.turn.begin(steps.replied(reply, self.turn, self.models))
        return None

    async def _compact(self) -> None:
        event = await compaction.compact(
            self.turn.records, self.turn.turn_id, self.system, self.spec, self.model
        )
        await self.turn.begin(event)

    async def _overflow(self, error: ContextOverflow) -> Ending | None:
        """One attempt to shorten the conversation; a second overflow in a row ends the turn aloud."""
        if self._overflowed:
            return self._failed(str(error), SMALLER)
        self._overflowed = True
        try:
            await self._compact()
        except ModelHalted as failure:
            raise StopSeen(self.turn.session_id) from failure
        except TROUBLES as failure:
            return await self._trouble(failure)
        return None

    async def _trouble(self, error: Exception) -> Ending | None:
        """What becomes of the turn after a call that brought no answer; None when it goes on."""
        match error:
            case ModelUnavailable():
                return Ending("paused", e.TurnPaused(turn_id=self.turn.turn_id, cause=str(error)))
            case BudgetSpent() if self.budgets is not None:
                return await self._within_budgets()
            case BudgetSpent():
                return self._failed(str(error), ADVICE)
            case ModelRefused():
                return self._failed(str(error), "Check the model's name and key in the settings, then retry.")
        return self._failed(str(error), SMALLER)
