"""The model client for every endpoint that speaks Chat Completions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import httpx2
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Omit, omit
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionMessageParam
from openai.types.shared import ReasoningEffort

from sandbox.agent.chat_wire import wire_messages, wire_tools
from sandbox.agent.model import Model, ModelMessage, ModelReply, ModelUnavailable, OnText, ToolSchema
from sandbox.agent.model_catalogue import ModelSpec
from sandbox.agent.model_faults import CALL_FAILURES, Transient, judge
from sandbox.agent.model_gateway import BROKER_AWAY, is_broker_away
from sandbox.agent.reply_assembly import ReplyAssembly
from sandbox.certificates import model_authorities


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try.

    A provider that asks for a longer pause than `longest_retry_after_seconds` is given up at once, so that
    a fallback model or the turn's own re-drive can take over. `silence_seconds` is the longest pause inside
    a stream, `call_seconds` the longest a single call may take.
    """

    attempts: int = 6
    first_delay_seconds: float = 1.0
    longest_delay_seconds: float = 30.0
    longest_retry_after_seconds: float = 120.0
    connect_seconds: float = 10.0
    silence_seconds: float = 120.0
    call_seconds: float = 900.0


class ChatCompletionsModel:
    """One model behind one endpoint; retries what may pass, and never hands on half a reply.

    `http_client` leads to the broker's gateway (`model_gateway.broker_http_client`) and stays open when this
    closes: all of a worker's clients share it. `headers` go with every call. Without it the provider is asked
    itself.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        model: ModelSpec,
        *,
        http_client: httpx2.AsyncClient | None = None,
        headers: Mapping[str, str] | None = None,
        patience: Patience | None = None,
        reasoning_effort: ReasoningEffort | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._patience = patience or Patience()
        self._model = model
        self._effort: ReasoningEffort | Omit = omit
        if model.reasoning and reasoning_effort:
            self._effort = reasoning_effort
        self._sleep = sleep
        self._now = now
        self._jitter = jitter
        timeout = httpx2.Timeout(self._patience.silence_seconds, connect=self._patience.connect_seconds)
        # The SDK's own retries know neither 425 nor a bound on Retry-After, and stop where the stream starts.
        self._client = AsyncOpenAI(
            base_url=base_url,
            api_key=api_key,
            max_retries=0,
            timeout=timeout,
            http_client=http_client or DefaultAsyncHttpxClient(verify=model_authorities()),
            default_headers=headers,
        )
        self._over_broker = http_client is not None

    @property
    def spec(self) -> ModelSpec:
        """The model this client speaks to."""
        return self._model

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections that are its own; calls in flight on them fail."""
        if not self._over_broker:
            await self._client.close()

    async def reply(
        self,
        messages: Sequence[ModelMessage],
        tools: Sequence[ToolSchema],
        *,
        on_text: OnText | None = None,
    ) -> ModelReply:
        """The complete answer of this model; see `Model.reply`."""
        wire = wire_messages(messages, vision=self._model.vision)
        wire_tool_list = wire_tools(tools)
        for attempt in range(1, self._patience.attempts + 1):
            try:
                return await self._call(wire, wire_tool_list, on_text)
            except CALL_FAILURES as error:
                if self._over_broker and is_broker_away(error):
                    raise ModelUnavailable(BROKER_AWAY) from error
                verdict = judge(error, self._model.id, self._now())
                if not isinstance(verdict, Transient):
                    raise verdict from error
                delay = self._delay(attempt, verdict)
                if delay is None:
                    raise ModelUnavailable(self._unavailable(attempt, verdict)) from error
            await self._sleep(delay)
        raise AssertionError("the last attempt either answers or raises")

    async def _call(
        self,
        messages: list[ChatCompletionMessageParam],
        tools: list[ChatCompletionFunctionToolParam],
        on_text: OnText | None,
    ) -> ModelReply:
        assembly = ReplyAssembly()
        try:
            async with asyncio.timeout(self._patience.call_seconds):
                stream = await self._client.chat.completions.create(
                    model=self._model.id,
                    messages=messages,
                    tools=tools or omit,
                    stream=True,
                    stream_options={"include_usage": True},
                    max_completion_tokens=self._model.output_reserve_tokens,
                    reasoning_effort=self._effort,
                )
                async with stream:
                    async for chunk in stream:
                        if assembly.add(chunk) and on_text is not None:
                            await on_text(assembly.text)
        except CALL_FAILURES:
            # A connection that breaks after the last word and the bill took nothing away from the reply.
            if not assembly.settled:
                raise
        return assembly.finished(self._model.id, sent_chars=len(str(messages)))

    def _delay(self, attempt: int, fault: Transient) -> float | None:
        patience = self._patience
        if attempt == patience.attempts:
            return None
        ceiling = min(patience.first_delay_seconds * 2.0 ** (attempt - 1), patience.longest_delay_seconds)
        own = ceiling * (0.5 + self._jitter() / 2)
        if fault.retry_after_seconds is None:
            return own
        if fault.retry_after_seconds > patience.longest_retry_after_seconds:
            return None
        return max(own, fault.retry_after_seconds)

    def _unavailable(self, attempts: int, fault: Transient) -> str:
        asked = fault.retry_after_seconds
        pause = f" It asks to wait {asked:.0f} s." if asked is not None else ""
        times = "once" if attempts == 1 else f"{attempts} times"
        return f"The model {self._model.id} is unavailable: {fault.reason} (tried {times}).{pause}"


class ModelChain:
    """A model with fallbacks: each next one is asked when the one before it is unavailable."""

    def __init__(self, models: Sequence[Model]) -> None:
        if not models:
            raise ValueError("a chain of models needs at least one model")
        self._models = tuple(models)

    async def reply(
        self,
        messages: Sequence[ModelMessage],
        tools: Sequence[ToolSchema],
        *,
        on_text: OnText | None = None,
    ) -> ModelReply:
        """The answer of the first model that is available; see `Model.reply`."""
        outages: list[ModelUnavailable] = []
        for model in self._models:
            try:
                return await model.reply(messages, tools, on_text=on_text)
            except ModelUnavailable as outage:
                outages.append(outage)
        raise ModelUnavailable(" ".join(dict.fromkeys(map(str, outages)))) from outages[-1]
