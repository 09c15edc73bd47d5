"""Everything stopped at once, and let go on: the kill switch, what was at work, and the record of both."""

from __future__ import annotations

import asyncio

import structlog

from session.audit import Audit, AuditEntry
from session.database import Database, marks
from session.events import UnknownEvent
from session.fold import FoldError
from session.halt import KillSwitch
from session.people import Person
from session.stopping import EndingCommands
from session.view import TURN_STATES, WAITING_STATES

_log = structlog.get_logger(__name__)


class Standstill:
    """Stops everything and lets it go on. `part` is the process that a person asks it of (`web`, `command`).

    Whether they may is asked before: admins, and whoever can run commands as the operator.
    """

    def __init__(self, database: Database, audit: Audit, commands: EndingCommands, part: str) -> None:
        self._database = database
        self._audit = audit
        self._commands = commands
        self._switch = KillSwitch(database)
        self._part = part

    async def stop(self, by: Person, reason: str) -> int:
        """How many turns were stopped. Nothing begins from the first moment on; workers kill their boxes.

        Prompts in line, and those that come, wait until `resume`. The switch comes first: it must not wait
        for the record. The reason is told in every thread whose turn is stopped.
        Emits: SessionStopped, or StopRequested where a worker has to let go, in every session with an open
        turn; ApprovalVoided. Raises: DatabaseDown; AuditDown, when everything is stopped all the same.
        """
        await self._switch.engage(by, reason)
        open_turns = await self._open_turns()
        stopping = [self._stop_turn(session_id, by, reason) for session_id in open_turns]
        stopped = sum(await asyncio.gather(*stopping))
        await self._audit.write(self._entry("halt.engage", by, {"reason": reason, "turns": str(stopped)}))
        return stopped

    async def resume(self, by: Person) -> bool:
        """Let work go on; False when nothing was halted. On record before it happens.

        What waits is taken up by the reconciler's next sweep. Raises: DatabaseDown, AuditDown.
        """
        if not await self._switch.halted():
            return False
        await self._audit.write(self._entry("halt.release", by, {}))
        return await self._switch.release(by)

    async def _open_turns(self) -> list[str]:
        states = (*TURN_STATES, *WAITING_STATES)
        rows = await self._database.rows(
            f"SELECT id FROM sessions WHERE state IN {marks(len(states))}", *states
        )
        return [row["id"] for row in rows]

    async def _stop_turn(self, session_id: str, by: Person, reason: str) -> bool:
        try:
            return await self._commands.stop_turn(session_id, by, reason)
        except (UnknownEvent, FoldError) as error:  # one unreadable session must not keep up the others
            _log.error("session_unreadable", session_id=session_id, error=str(error))
            return False

    def _entry(self, action: str, by: Person, detail: dict[str, str]) -> AuditEntry:
        return AuditEntry(
            actor=f"{self._part} for {by.id}",
            action=action,
            target="all work",
            outcome="done",
            detail={"by": by.name, **detail},
        )
