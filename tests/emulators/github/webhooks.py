"""Webhooks of the emulated GitHub: signed, numbered, delivered in order, kept for redelivery."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp

from tests.emulators.github.shapes import Shapes
from tests.emulators.github.state import Pull, Repository, User, World

DELIVERY_TIMEOUT_SECONDS = 60.0
PULL_REQUEST_ACTIONS = ("opened", "closed", "synchronize")
WEBHOOKS = tuple(f"pull-request-{action}" for action in PULL_REQUEST_ACTIONS)


@dataclass
class Delivery:
    """One webhook: what was sent, and the receiver's status (None: not yet, 0: it did not answer)."""

    guid: str
    event: str
    body: bytes
    status: int | None = None


class Webhooks:
    """Delivers to one address, or keeps what it would have sent when it has none."""

    def __init__(self, world: World, shapes: Shapes, check: Callable[[str, Any], None]) -> None:
        """`check` is told each webhook's name in GitHub's description, and its payload."""
        self.url: str | None = None
        self.deliveries: list[Delivery] = []
        self._world = world
        self._shapes = shapes
        self._check = check
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()

    def pull_request(
        self, action: str, repository: Repository, pull: Pull, sender: User, before: str | None = None
    ) -> None:
        """Queue a `pull_request` event."""
        payload: dict[str, Any] = {
            "action": action,
            "number": pull.number,
            "pull_request": self._shapes.pull(repository, pull),
            "repository": self._shapes.repository(repository),
            "sender": self._shapes.user(sender),
            "installation": {"id": repository.owner.id, "node_id": f"I_{repository.owner.id}"},
        }
        if before is not None:
            payload |= {"before": before, "after": pull.head_sha}
        self._check(f"pull-request-{action}", payload)
        self.send("pull_request", payload)

    def send(self, event: str, payload: dict[str, Any]) -> Delivery:
        """Queue any event, signed like the others."""
        delivery = Delivery(str(uuid4()), event, json.dumps(payload).encode())
        self.deliveries.append(delivery)
        self._queue.put_nowait(delivery)
        return delivery

    def redeliver(self, delivery: Delivery, *, new_guid: bool = False) -> Delivery:
        """Queue the same body again, as a replay would."""
        again = Delivery(str(uuid4()) if new_guid else delivery.guid, delivery.event, delivery.body)
        self.deliveries.append(again)
        self._queue.put_nowait(again)
        return again

    def signature(self, body: bytes) -> str:
        """The X-Hub-Signature-256 of a body."""
        key = self._world.app.webhook_secret.encode()
        return "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()

    async def settled(self) -> None:
        """Return when everything queued was delivered (or had no address to go to)."""
        await self._queue.join()

    async def run(self) -> None:
        """Deliver until cancelled."""
        timeout = aiohttp.ClientTimeout(total=DELIVERY_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                delivery = await self._queue.get()
                try:
                    if self.url is not None:
                        delivery.status = await self._deliver(session, self.url, delivery)
                finally:
                    self._queue.task_done()

    async def _deliver(self, session: aiohttp.ClientSession, url: str, delivery: Delivery) -> int:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/emulator",
            "X-GitHub-Event": delivery.event,
            "X-GitHub-Delivery": delivery.guid,
            "X-GitHub-Hook-ID": "1",
            "X-Hub-Signature-256": self.signature(delivery.body),
        }
        try:
            async with session.post(url, data=delivery.body, headers=headers) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            return 0
