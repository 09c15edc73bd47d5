"""An answer on its way from the model provider to whoever asked: piece by piece, read but not changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import structlog
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from sandbox.broker.door.redaction import Redaction
from sandbox.broker.usage_meter import UsageMeter

log = structlog.get_logger()

EVENT_STREAM = "text/event-stream"
HANDED_ON = ("content-type", "content-encoding", "retry-after", "retry-after-ms", "x-request-id")
"""The provider's headers that callers read."""

SHORTEST_SECRET = 10
"""A shorter key is the dummy of a server without keys, and would hit ordinary words."""

Settle = Callable[[UsageMeter | None], Awaitable[None]]


class Passage(Response):
    """Makes the call and answers with what comes back; when the caller hangs up, so does it.

    `settle` is awaited once, before the end of the answer is handed on: with what the call used, or with None
    where the provider refused it or never answered. An answer that breaks off breaks off here too.
    """

    def __init__(
        self, client: httpx2.AsyncClient, call: httpx2.Request, secret: str, meter: UsageMeter, settle: Settle
    ) -> None:
        self.background = None
        self._client = client
        self._call = call
        self._redaction = Redaction([secret] if len(secret) >= SHORTEST_SECRET else [])
        self._meter = meter
        self._settle = settle
        self._billed = True
        self._counting: asyncio.Future[None] | None = None
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it."""
        passing = asyncio.create_task(self._pass(scope, receive, send))
        gone = asyncio.create_task(_hung_up(receive))
        try:
            await asyncio.wait({passing, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            passing.cancel()
            gone.cancel()
            await asyncio.wait({passing, gone})
            await self._count()
        if not passing.cancelled():
            passing.result()

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._answer() as answer:
                self._billed = answer.is_success
                if answer.is_success and _is_stream(answer):
                    await self._stream(answer, send)
                    last = self._redaction.rest()
                else:
                    last = self._redaction.whole(b"".join([piece async for piece in answer.aiter_raw()]))
                    self._meter.whole(last)
                    await self._start(answer, send)
        except httpx2.RequestError as error:
            log.warning("model provider failed", error=str(error), kind=type(error).__name__)
            if self._started:
                return  # without an end: the server breaks the connection, and the caller sees that it broke
            self._billed = False
            await self._count()
            await failure(502, "provider_unreachable", "The model provider did not answer, or broke off.")(
                scope, receive, send
            )
            return
        await self._count()
        await send({"type": "http.response.body", "body": last, "more_body": False})

    @asynccontextmanager
    async def _answer(self) -> AsyncIterator[httpx2.Response]:
        answer = await self._client.send(self._call, stream=True)
        try:
            yield answer
        finally:
            await answer.aclose()

    async def _start(self, answer: httpx2.Response, send: Send) -> None:
        self._started = True
        headers = [
            (name.encode(), self._redaction.whole(answer.headers[name].encode("latin-1")))
            for name in HANDED_ON
            if name in answer.headers
        ]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})

    async def _stream(self, answer: httpx2.Response, send: Send) -> None:
        await self._start(answer, send)
        async for piece in answer.aiter_raw():
            self._meter.stream(piece)
            if self._meter.done:
                # Callers go on at the last event, before the connection ends: it must be counted by then.
                await self._count()
            if clean := self._redaction.feed(piece):
                await send({"type": "http.response.body", "body": clean, "more_body": True})

    async def _count(self) -> None:
        """Once, whoever asks for it, and to its end: also for a caller who hangs up in the middle of it."""
        if self._counting is None:
            self._counting = asyncio.ensure_future(self._settle(self._meter if self._billed else None))
        await asyncio.shield(self._counting)


def failure(status: int, code: str, message: str, **more: str) -> JSONResponse:
    """An error in the provider's own form, so that every client of the API can read it."""
    error = {"message": message, "type": "bellhop", "param": None, "code": code, **more}
    return JSONResponse({"error": error}, status)


def _is_stream(answer: httpx2.Response) -> bool:
    return bool(answer.headers.get("content-type", "").startswith(EVENT_STREAM))


async def _hung_up(receive: Receive) -> None:
    """Returns when the caller has."""
    while (await receive())["type"] != "http.disconnect":
        pass
