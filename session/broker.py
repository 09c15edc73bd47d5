"""The way to the broker: one typed call over its Unix socket, for every other part of the house.

The broker alone holds credentials. Whoever wants something done with one says what, for which session; the
broker looks at the record, the policy and the person's rights itself, and answers with the result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx
from pydantic import Field, ValidationError

from session.people import Declared

Answer = TypeVar("Answer", bound=Declared)

ADDRESS = "http://broker"
CONNECT_SECONDS = 5.0


SESSION_HEADER = "X-Bellhop-Session"
PURPOSE_HEADER = "X-Bellhop-Purpose"


def model_headers(session_id: str, purpose: str) -> dict[str, str]:
    """What a model call through the broker carries: for which session it is, and whether for `agent`,
    `compaction` or `classifier`."""
    return {SESSION_HEADER: session_id, PURPOSE_HEADER: purpose}


class BrokerDown(Exception):
    """The broker does not answer: what needs it is refused until it is back. The message can be shown."""


class BrokerRefused(Exception):
    """The broker will not do it. `kind` names the reason for machines, `detail` holds its particulars; the
    message says it to people."""

    def __init__(self, kind: str, message: str, detail: Mapping[str, str]) -> None:
        super().__init__(message)
        self.kind = kind
        self.detail = detail


class Refusal(Declared):
    """A refusal as it travels."""

    kind: str
    message: str
    detail: Mapping[str, str] = Field(default_factory=dict)


class Nothing(Declared):
    """What an operation asks or answers that asks or answers nothing."""


class Broker:
    """The broker at a socket. Close it when done."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self._client = httpx.AsyncClient(
            # No TLS on a Unix socket: loading the authorities would be most of the work.
            transport=httpx.AsyncHTTPTransport(uds=str(socket), verify=False),
            base_url=ADDRESS,
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def call(
        self, operation: str, asked: Declared, answers: type[Answer], *, seconds: float = 120.0
    ) -> Answer:
        """What the broker answers. Raises: BrokerDown, BrokerRefused."""
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.post(
                    f"/v1/{operation}",
                    content=asked.model_dump_json().encode(),
                    headers={"Content-Type": "application/json"},
                )
        except (httpx.TransportError, TimeoutError) as error:
            raise BrokerDown(
                "The broker, which holds all credentials, does not answer. Nothing that needs one is done "
                "until it is back."
            ) from error
        try:
            if response.status_code == 200:
                return answers.model_validate_json(response.content)
            refusal = Refusal.model_validate_json(response.content)
        except ValidationError as error:
            raise BrokerDown(
                f"The broker answered {operation} with something that cannot be read."
            ) from error
        raise BrokerRefused(refusal.kind, refusal.message, refusal.detail)
