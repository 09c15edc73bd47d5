"""What keeps a turn's work from leaving: found out, told once, and taken back when it is over."""

from __future__ import annotations

from sandbox.agent.turn_log import TurnLog
from sandbox.base_commit import BaseCommit
from sandbox.broker.changes import merge_base
from sandbox.broker.inspection import Finding
from sandbox.broker.quarantine import Quarantine, QuarantineRefused
from sandbox.holds import holds_of, refusal
from session.holds import all_lifted, held_back, lifted


class Holding:
    """Looks through the commits of one turn. All methods raise StaleEpoch."""

    def __init__(self, turn: TurnLog, base: BaseCommit, quarantine: Quarantine) -> None:
        self._turn = turn
        self._base = base
        self._quarantine = quarantine

    async def inspect(self, head_sha: str) -> tuple[Finding, ...]:
        """What is in the commits up to that one that should not leave unseen.

        Emits: WorkHeldBack, HoldsLifted.
        """
        start = await merge_base(self._quarantine.path, self._base.sha, head_sha)
        findings = await self._quarantine.inspect(start, head_sha, protected=self._base.protected_paths)
        holds = holds_of(findings)
        await self._turn.note(lambda view: [*lifted(view, holds), *held_back(view, holds, saved=True)])
        return findings

    async def look_again(self, head_sha: str | None) -> None:
        """See whether what kept the work back still does; `head_sha` is None where nothing is changed.

        Emits: WorkHeldBack, HoldsLifted.
        """
        if head_sha is None:
            await self._turn.note(all_lifted)
        elif self._turn.view.held_back:
            await self.inspect(head_sha)

    async def not_taken(self, error: QuarantineRefused) -> None:
        """The work did not come out of the box. Emits: WorkHeldBack."""
        hold = refusal("handover", str(error))
        await self._turn.note(lambda view: held_back(view, [hold], saved=False))

    async def not_published(self, sentence: str) -> None:
        """Broker or forge refused what was to go out, unless it is out all the same. Emits: WorkHeldBack."""
        published, recorded = self._turn.view.published, self._turn.view.changes
        if published and recorded and published.head_sha == recorded.head_sha:
            return
        hold = refusal("publication", sentence)
        await self._turn.note(lambda view: held_back(view, [hold], saved=True))
