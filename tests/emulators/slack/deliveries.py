"""Brings events and interactions to the app, again if it did not acknowledge them in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tests.emulators.slack.refusals import Json
from tests.emulators.slack.watch import Watch

ACK_SECONDS = 10.0
"""Slack waits for three. Here the machine may be busy with other tests: a delivery that came again for that
alone would say nothing of the app.
"""

ANSWER_SECONDS = 60.0
"""What a person does never comes again, so a late answer would be none."""

RETRIES = 3

EnvelopeKind = Literal["events_api", "interactive", "slash_commands"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Something for the app; `attempt` counts from 0, `reason` says why the attempt before it failed."""

    kind: EnvelopeKind
    payload: Json
    attempt: int = 0
    reason: str = ""


def patience(envelope: Envelope, ack_seconds: float) -> float:
    """How many seconds the app has to acknowledge it."""
    return ack_seconds if envelope.kind == "events_api" else max(ack_seconds, ANSWER_SECONDS)


class NotAcknowledged(Exception):
    """The app did not acknowledge an envelope; the message is Slack's word for the reason."""


class Transport(Protocol):
    """A way to reach the app; `sent` holds every attempt."""

    sent: list[Envelope]

    async def send(self, envelope: Envelope) -> Json | None:
        """What the app answered along with its acknowledgement, if anything.

        Raises:
            NotAcknowledged: it did not acknowledge in time, or refused.
        """
        ...


class Deliveries:
    """Hands envelopes to `transport`.

    The real retries come at once, after a minute and after five minutes; here all come at once.
    """

    def __init__(self, transport: Transport, watch: Watch) -> None:
        self.transport = transport
        self.copies = 1
        self.given_up: list[Json] = []
        self._watch = watch
        self._held: list[Json] | None = None
        self._running: set[asyncio.Task[None]] = set()

    def event(self, payload: Json) -> None:
        """Deliver one event, `copies` times."""
        if self._held is not None:
            self._held.append(payload)
            return
        for _ in range(self.copies):
            self._start(self._until_acknowledged(payload))

    async def interaction(self, kind: EnvelopeKind, payload: Json) -> Json | None:
        """The app's answer to something a person did; these are never retried.

        Raises:
            NotAcknowledged: the person sees an error.
        """
        return await self.transport.send(Envelope(kind, payload))

    def hold(self) -> None:
        """Keep events back from now on."""
        self._held = []

    def let_go(self, order: Callable[[Sequence[Json]], Iterable[Json]]) -> None:
        """Deliver what was kept back, in the order `order` puts it."""
        held, self._held = self._held or [], None
        for payload in order(held):
            self.event(payload)

    @property
    def idle(self) -> bool:
        """Whether everything has been acknowledged or given up."""
        return not self._running

    async def forget(self) -> None:
        """Drop what has not been acknowledged, as Slack does after its last retry."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._watch.changed()

    async def _until_acknowledged(self, payload: Json) -> None:
        reason = ""
        for attempt in range(RETRIES + 1):
            try:
                await self.transport.send(Envelope("events_api", payload, attempt, reason))
            except NotAcknowledged as error:
                reason = str(error)
            else:
                return
        self.given_up.append(payload)
