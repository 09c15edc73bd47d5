"""Where one box's requests are decided: the kill switch first, then the policy, then the audit; nothing goes
out before it is on record."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence

from sandbox.broker.door.judgement import Judgement, Refused
from sandbox.broker.door.parts import DoorParts, EgressRefused
from sandbox.broker.door.targets import Endpoint
from session.audit import AuditDown, AuditEntry, Outcome
from session.catalogue import UnknownRepository
from session.database import DatabaseDown
from session.events import Event, UntrustedRead
from session.halt import Halted, KillSwitch
from session.log import NoSuchSession
from session.view import SessionView

BRAKE_SECONDS = 0.25
"""For this long at most a switch thrown meanwhile is not seen."""

MAX_REFUSALS = 500
MAX_PATH_CHARACTERS = 500
METER_BYTES = 1024 * 1024
FORBIDDEN = 403
UNAVAILABLE = 503
DATABASE_DOWN = "The database does not answer, so the door stays shut until it does."


class Denied(Exception):
    """The request is answered by the door itself. status: of the answer; the message is its text."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Brake:
    """The kill switch, asked at most four times in a second however much is under way."""

    def __init__(self, switch: KillSwitch) -> None:
        self._switch = switch
        self._asked = float("-inf")
        self._halted: Halted | None = None

    async def check(self) -> None:
        """Return when work may go on. Raises: Halted, DatabaseDown."""
        now = time.monotonic()
        if now - self._asked > BRAKE_SECONDS:
            try:
                await self._switch.check()
                self._halted = None
            except Halted as halted:
                self._halted = halted
            self._asked = now
        if self._halted is not None:
            raise self._halted


class Gate:
    """The decisions about one box of a session. `refused` are its latest refusals, oldest first."""

    def __init__(
        self,
        parts: DoorParts,
        brake: Brake,
        session_id: str,
        box: str,
        package_hosts: Mapping[str, tuple[str, ...]],
    ) -> None:
        self.session_id = session_id
        self.package_hosts = package_hosts
        self.brake = brake
        self.refused: deque[EgressRefused] = deque(maxlen=MAX_REFUSALS)
        self._parts = parts
        self._actor = f"box {box}"
        self._particulars: Mapping[str, str] = {}
        # Whoever has read up to a number goes on from there, also when the broker has begun anew since.
        self._numbered = time.time_ns() // 1_000_000

    async def judgement(self, endpoint: Endpoint, method: str, path: str) -> Judgement:
        """The session's policy as it stands now, for that request. Raises: Denied."""
        try:
            await self.brake.check()
            view = await self._parts.log.view(self.session_id)
            if view.repository is None:
                raise Denied(FORBIDDEN, "The session has no repository yet, so nothing may leave its box.")
            repository = self._parts.catalogue.get(view.repository.slug)
        except Halted as halted:
            await self.audit("refused", endpoint, method, path, "halted")
            raise Denied(UNAVAILABLE, str(halted)) from halted
        except DatabaseDown as error:
            raise Denied(UNAVAILABLE, DATABASE_DOWN) from error
        except (NoSuchSession, UnknownRepository) as error:
            raise Denied(FORBIDDEN, f"Nothing may leave this box: {error}") from error
        return Judgement(repository, self.package_hosts, view.approvals, view.untrusted)

    async def deny(self, endpoint: Endpoint, method: str, path: str, refused: Refused) -> Denied:
        """The refusal, noted and on the audit, to be raised. Raises: Denied, when the audit is down."""
        self._numbered += 1
        shown = path[:MAX_PATH_CHARACTERS]
        place = (endpoint.scheme, endpoint.host, endpoint.port)
        self.refused.append(
            EgressRefused(self._numbered, *place, method, shown, refused.reason, refused.allowable)
        )
        await self.audit("refused", endpoint, method, path, refused.reason)
        hint = " A person can allow it for this session, in its thread." if refused.allowable else ""
        sentence = f"The door refused {method} {endpoint.url}{shown}: {refused.reason}.{hint}"
        return Denied(FORBIDDEN, sentence)

    async def audit(self, outcome: Outcome, endpoint: Endpoint, method: str, path: str, why: str) -> None:
        """Put the request on record. Raises: Denied, when it cannot be."""
        entry = AuditEntry(
            actor=self._actor,
            action="egress.request",
            target=f"{method} {endpoint.url}",
            outcome=outcome,
            session_id=self.session_id,
            detail={
                "host": endpoint.host,
                "method": method,
                "path": path[:MAX_PATH_CHARACTERS],
                "why": why,
                **self._particulars,
            },
        )
        try:
            await self._parts.audit.write(entry)
        except AuditDown as error:
            raise Denied(UNAVAILABLE, str(error)) from error

    async def taint(self, judgement: Judgement, host: str) -> None:
        """Note in the log, once, that the session reads what strangers write on that host.

        Raises: Denied. Emits: UntrustedRead.
        """
        own = judgement.forge is not None and host == judgement.forge.host
        if own or host in judgement.untrusted:
            return

        def decide(view: SessionView) -> Sequence[Event]:
            return [] if host in view.untrusted else [UntrustedRead(source=host)]

        try:
            await self._parts.log.record(self.session_id, decide)
        except DatabaseDown as error:
            raise Denied(UNAVAILABLE, DATABASE_DOWN) from error

    def meter(self) -> Meter:
        """Counts the bytes of one request or tunnel."""
        return Meter(self._parts, self.session_id, self.brake)


class Meter:
    """Counts bytes against the session's budget, and stops what is under way when the switch is thrown."""

    def __init__(self, parts: DoorParts, session_id: str, brake: Brake) -> None:
        # A build has no session whose budget it could use up; its time is limited instead.
        self._spend = parts.spend if session_id else None
        self._session_id = session_id
        self._brake = brake
        self._uncounted = 0

    async def add(self, amount: int) -> None:
        """Count that many bytes. Raises: EgressSpent, Halted, DatabaseDown."""
        await self._brake.check()
        self._uncounted += amount
        if self._uncounted >= METER_BYTES:
            await self.settle()

    async def settle(self) -> None:
        """Put on record what was counted. Raises: EgressSpent, DatabaseDown."""
        amount, self._uncounted = self._uncounted, 0
        if self._spend is not None and amount:
            await self._spend(self._session_id, "egress_bytes", amount)
