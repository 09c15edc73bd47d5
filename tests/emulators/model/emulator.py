"""A model provider for tests: plays scripted turns, records every request, and fails on misuse."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from deploy.demo.chat_requests import ChatRequest, RequestRefused
from deploy.demo.model_server import ModelServer, error_body, send
from deploy.demo.replies import Answer, Reply
from tests.emulators.model.connections import BrokenResponse, Transports, tracking_protocol
from tests.emulators.model.listening import Listening
from tests.emulators.model.turns import Cut, Held, HttpFault, Player, Reset, StreamError, Turn

SSE = "text/event-stream"


class ModelMisused(AssertionError):
    """The code under test sent what the real service refuses, or left scripted turns unplayed."""


@dataclass(slots=True)
class Part:
    """The part one model plays: a queue of turns, or a player that decides on each call."""

    turns: deque[Turn | Player] = field(default_factory=deque)
    player: Player | None = None

    def next_turn(self, request: ChatRequest) -> Turn:
        """What to do now.

        Raises:
            RequestRefused: the script is played out.
        """
        if not self.turns and self.player is None:
            raise RequestRefused(f"the script of {request.model} has no turn left for this call")
        turn = self.turns.popleft() if self.turns else self.player
        assert turn is not None
        return turn(request) if callable(turn) else turn

    def reply(self, request: ChatRequest) -> Reply:
        """The next turn, where it is a plain reply."""
        turn = self.next_turn(request)
        if not isinstance(turn, Reply):
            raise RequestRefused(f"{turn} cannot be sent as a plain reply")
        return turn


class ModelEmulator:
    """`async with ModelEmulator() as model:` gives `model.base_url` and `model.api_key`.

    Leaving the block fails the test if a request was refused as invalid (`violations`), or, unless
    `allow_leftovers`, if scripted turns were never asked for.
    """

    def __init__(self, *, api_key: str = "sk-emulated", allow_leftovers: bool = False) -> None:
        self.api_key = api_key
        self.base_url = ""
        self.requests: list[ChatRequest] = []
        self.violations: list[str] = []
        self.listening = Listening()
        self._allow_leftovers = allow_leftovers
        self._parts: dict[str, Part] = {}
        self._held: list[Held] = []
        self._changed = asyncio.Condition()
        self._stack = AsyncExitStack()

    def script(self, model: str, *turns: Turn | Player) -> None:
        """Append `turns` to what `model` does, one per call."""
        self._parts.setdefault(model, Part()).turns.extend(turns)

    def play(self, model: str, player: Player) -> None:
        """Let `player` decide what `model` does whenever its queue of turns is empty."""
        self._parts.setdefault(model, Part()).player = player

    def hear(self, model: str, *said: str | HttpFault) -> None:
        """Append to what `model` makes of recordings, one each."""
        self.listening.script.setdefault(model, deque()).extend(said)

    def requests_to(self, model: str) -> list[ChatRequest]:
        """The valid requests `model` received so far, oldest first."""
        return [request for request in self.requests if request.model == model]

    async def wait_for_requests(
        self, count: int, model: str | None = None, timeout_seconds: float = 60
    ) -> None:
        """Return once `count` requests (to `model`, or to any) have come in.

        Raises:
            TimeoutError: fewer came within `timeout_seconds`.
        """
        async with asyncio.timeout(timeout_seconds), self._changed:
            await self._changed.wait_for(
                lambda: len(self.requests_to(model) if model else self.requests) >= count
            )

    def take_violations(self) -> list[str]:
        """The refusals so far, which then no longer fail the test."""
        taken, self.violations = self.violations, []
        return taken

    @property
    def leftovers(self) -> dict[str, int]:
        """Per model, how many scripted turns were not asked for, or recordings not sent."""
        unheard = {model: len(said) for model, said in self.listening.script.items() if said}
        return unheard | {model: len(part.turns) for model, part in self._parts.items() if part.turns}

    async def __aenter__(self) -> Self:
        server = _PlayingServer(self, self._parts)
        self.base_url = await self._stack.enter_async_context(server.serve())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for held in self._held:
            held.release()
        await self._stack.aclose()
        if error is None:
            self._check()

    def _check(self) -> None:
        if self.violations:
            raise ModelMisused("the real service would refuse: " + "; ".join(self.violations))
        if self.leftovers and not self._allow_leftovers:
            raise ModelMisused(f"scripted turns nobody asked for: {self.leftovers}")

    async def next_turn(self, request: ChatRequest) -> Turn:
        """Record `request` and say what its model does; called by the server."""
        async with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        turn = self._parts[request.model].next_turn(request)
        if isinstance(turn, Held):
            self._held.append(turn)
        return turn


class _PlayingServer(ModelServer):
    def __init__(self, emulator: ModelEmulator, parts: Mapping[str, Part]) -> None:
        super().__init__(parts, emulator.api_key)
        self._emulator = emulator
        self._transports: Transports = {}

    def app(self) -> Starlette:
        app = super().app()
        app.routes.append(Route("/v1/audio/transcriptions", self._listen, methods=["POST"]))
        return app

    async def _listen(self, http: Request) -> Response:
        self._authenticate(http)
        return await self._emulator.listening.answer(http)

    def protocol_class(self) -> type[asyncio.Protocol]:
        return tracking_protocol(self._transports)

    def on_refusal(self, error: RequestRefused) -> None:
        self._emulator.violations.append(f"{error.status} {error.message}")

    async def respond(self, http: Request, request: ChatRequest) -> Response:
        turn = await self._emulator.next_turn(request)
        number = len(self._emulator.requests)
        if isinstance(turn, HttpFault):
            return _error_response(turn)
        if isinstance(turn, Reset):
            return BrokenResponse(self._transports, None)
        if isinstance(turn, StreamError):
            error = JSONResponse(error_body(turn.message, turn.code, kind="server_error")).body
            return StreamingResponse(iter([b"data: " + bytes(error) + b"\n\n"]), media_type=SSE)
        answer = Answer(request, turn if isinstance(turn, Reply) else turn.reply, number, int(time.time()))
        if isinstance(turn, Cut):
            return self._cut(turn, answer)
        if isinstance(turn, Held):
            return await _held(turn, answer)
        return send(answer)

    def _cut(self, cut: Cut, answer: Answer) -> Response:
        sent = b"".join(answer.events())[: cut.after_bytes]
        if cut.abrupt:
            return BrokenResponse(self._transports, sent)
        return StreamingResponse(iter([sent]), media_type=SSE)


async def _held(held: Held, answer: Answer) -> Response:
    if held.after_events == 0:
        await _stand_still(held)
        return send(answer)
    events = answer.events() if answer.request.stream else iter([JSONResponse(answer.completion()).body])
    media_type = SSE if answer.request.stream else "application/json"
    return StreamingResponse(_stopping(held, map(bytes, events)), media_type=media_type)


async def _stopping(held: Held, events: Iterator[bytes]) -> AsyncIterator[bytes]:
    for number, event in enumerate(events):
        if number == held.after_events:
            await _stand_still(held)
        yield event


async def _stand_still(held: Held) -> None:
    held.reached.set()
    try:
        await held.released.wait()
    except asyncio.CancelledError:
        held.abandoned.set()
        raise


def _error_response(fault: HttpFault) -> Response:
    headers = {"retry-after": fault.retry_after} if fault.retry_after is not None else None
    return JSONResponse(error_body(fault.message, fault.code, kind="server_error"), fault.status, headers)


def wire_length(turns: Iterable[Reply], model: str) -> int:
    """How many bytes the longest of `turns` takes when `model` streams it, for cutting it anywhere."""
    request = ChatRequest(model, (), (), stream=True, include_usage=True, response_schema=None)
    return max(len(b"".join(Answer(request, reply, 1, int(time.time())).events())) for reply in turns)
