from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path

import pytest

from deploy.demo.replies import Reply, ScriptedUsage
from sandbox.agent.chat_completions import ChatCompletionsModel, ModelChain, Patience
from sandbox.agent.model import (
    AssistantMessage,
    ContextOverflow,
    ImagePart,
    ModelMessage,
    ModelRefused,
    ModelUnavailable,
    SystemMessage,
    TextPart,
    ToolCallRequest,
    ToolMessage,
    ToolSchema,
    Usage,
    UserMessage,
)
from sandbox.agent.model_catalogue import (
    UNKNOWN_WINDOW_TOKENS,
    BadModelCatalogue,
    ModelSpec,
    load_models,
    unknown_model,
)
from tests.emulators.model.emulator import ModelEmulator, wire_length
from tests.emulators.model.turns import (
    Cut,
    Held,
    HttpFault,
    Reset,
    StreamError,
    context_overflow,
    nothing,
    overloaded,
    rate_limited,
    raw_tool,
    same_ids,
    say,
    together,
    tool,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ASK = (SystemMessage("You are terse."), UserMessage.of("List the files."))
BASH = ToolSchema(
    "bash",
    "Run a command.",
    {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
)


class Naps:
    """Stands in for sleeping: notes how long, and does not wait."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
async def emulator() -> AsyncIterator[ModelEmulator]:
    async with ModelEmulator() as running:
        yield running


@pytest.fixture
def naps() -> Naps:
    return Naps()


Connect = Callable[..., Awaitable[ChatCompletionsModel]]


@pytest.fixture
async def connect(emulator: ModelEmulator, naps: Naps) -> AsyncIterator[Connect]:
    opened: list[ChatCompletionsModel] = []

    async def open_model(
        spec: ModelSpec | None = None, patience: Patience | None = None, api_key: str | None = None
    ) -> ChatCompletionsModel:
        model = ChatCompletionsModel(
            emulator.base_url,
            api_key or emulator.api_key,
            spec or unknown_model("m"),
            patience=patience,
            sleep=naps,
            now=lambda: NOW,
            jitter=lambda: 1.0,
        )
        opened.append(model)
        return model

    yield open_model
    for model in opened:
        await model.aclose()


async def test_text_tool_calls_and_usage_arrive(emulator: ModelEmulator, connect: Connect) -> None:
    calls = together(tool("bash", command="ls"), tool("bash", command="pwd"), text="Looking around, ünïcode.")
    reply = Reply(calls.text, calls.tool_calls, usage=ScriptedUsage(100, 20, 60), chunk_chars=3)
    emulator.script("m", reply)
    heard: list[str] = []

    async def hear(text: str) -> None:
        heard.append(text)

    answer = await (await connect()).reply(ASK, [BASH], on_text=hear)

    assert answer.text == "Looking around, ünïcode."
    assert [(call.tool, json.loads(call.arguments)) for call in answer.tool_calls] == [
        ("bash", {"command": "ls"}),
        ("bash", {"command": "pwd"}),
    ]
    assert answer.usage == Usage(100, 60, 20)
    assert (answer.finish_reason, answer.model) == ("tool_calls", "m")
    assert heard[-1] == answer.text
    assert heard == sorted(heard, key=len)
    assert emulator.requests[0].tool_names == ("bash",)


async def test_a_whole_conversation_is_written_as_the_service_wants_it(
    emulator: ModelEmulator, connect: Connect
) -> None:
    emulator.script("m", say("A cat."))
    conversation: list[ModelMessage] = [
        *ASK,
        AssistantMessage("", (ToolCallRequest("a", "view_image", "{}"), ToolCallRequest("b", "bash", "{}"))),
        ToolMessage("a", (TextPart("cat.png"), ImagePart("image/png", b"pixels"))),
        ToolMessage.of("b", "done"),
        AssistantMessage("I saw it."),
        UserMessage((TextPart("And this?"), ImagePart("image/jpeg", b"more"))),
    ]
    seeing = ModelSpec("m", 1000, 100, None, vision=True, reasoning=False)

    await (await connect(seeing)).reply(conversation, [])

    roles = [message.role for message in emulator.requests[0].messages]
    assert roles == ["system", "user", "assistant", "tool", "tool", "user", "assistant", "user"]
    assert emulator.requests[0].messages[5].images == ("data:image/png;base64,cGl4ZWxz",)
    assert emulator.requests[0].last.images == ("data:image/jpeg;base64,bW9yZQ==",)


async def test_a_model_that_cannot_see_is_told_so(emulator: ModelEmulator, connect: Connect) -> None:
    emulator.script("m", say("Pity."))
    await (await connect()).reply([UserMessage((ImagePart("image/png", b"pixels"),))], [])
    assert emulator.requests[0].last.images == ()
    assert "cannot see pictures" in emulator.requests[0].last.text


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
async def test_a_passing_fault_is_retried(
    emulator: ModelEmulator, connect: Connect, naps: Naps, status: int
) -> None:
    emulator.script("m", HttpFault(status), HttpFault(status), say("there you are"))
    answer = await (await connect()).reply(ASK, [])
    assert answer.text == "there you are"
    assert naps.seconds == [1.0, 2.0]


@pytest.mark.parametrize("fault", [Reset(), StreamError(), Cut(say("half of it"), 300, abrupt=False)])
async def test_a_broken_connection_is_retried(
    emulator: ModelEmulator, connect: Connect, fault: Reset | StreamError | Cut
) -> None:
    emulator.script("m", fault, say("whole"))
    assert (await (await connect()).reply(ASK, [])).text == "whole"


async def test_retry_after_is_honoured(emulator: ModelEmulator, connect: Connect, naps: Naps) -> None:
    in_forty_seconds = format_datetime(NOW + timedelta(seconds=40), usegmt=True)
    emulator.script("m", rate_limited("7"), overloaded(in_forty_seconds), rate_limited("soon"), say("ok"))
    await (await connect()).reply(ASK, [])
    assert naps.seconds == [7.0, 40.0, 4.0]


async def test_a_pause_longer_than_the_bound_is_an_outage(
    emulator: ModelEmulator, connect: Connect, naps: Naps
) -> None:
    emulator.script("m", rate_limited("3600"))
    with pytest.raises(ModelUnavailable, match=r"HTTP 429 \(tried once\)\. It asks to wait 3600 s"):
        await (await connect()).reply(ASK, [])
    assert naps.seconds == []


async def test_an_outage_ends_after_the_last_attempt(
    emulator: ModelEmulator, connect: Connect, naps: Naps
) -> None:
    emulator.script("m", *[HttpFault(503)] * 3)
    model = await connect(patience=Patience(attempts=3))
    with pytest.raises(ModelUnavailable, match=r"The model m is unavailable: .*HTTP 503 \(tried 3 times\)"):
        await model.reply(ASK, [])
    assert len(naps.seconds) == 2


async def test_nobody_listening_is_an_outage(naps: Naps) -> None:
    with socket.socket() as taken:
        # Bound, and nobody listens: nor can anybody else meanwhile.
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        async with ChatCompletionsModel(
            address, "key", unknown_model("m"), patience=Patience(attempts=2), sleep=naps
        ) as model:
            with pytest.raises(ModelUnavailable, match="the connection failed"):
                await model.reply(ASK, [])


async def test_a_stream_that_falls_silent_is_retried(emulator: ModelEmulator, connect: Connect) -> None:
    silent = Held(say("never heard"), after_events=1)
    emulator.script("m", silent)
    # A machine that stands still makes any stream fall silent.
    emulator.play("m", lambda request: say("heard"))
    model = await connect(patience=Patience(attempts=100, silence_seconds=0.1))
    assert (await model.reply(ASK, [])).text == "heard"


@pytest.mark.parametrize(
    "fault",
    [
        context_overflow(),
        HttpFault(400, "prompt is too long: 210000 tokens > 200000 maximum"),
        HttpFault(413, "Input exceeds the model's maximum of 32768 tokens"),
        StreamError("Your input exceeds the context window of this model."),
    ],
)
async def test_overflow_is_told_apart_and_never_retried(
    emulator: ModelEmulator, connect: Connect, naps: Naps, fault: HttpFault | StreamError
) -> None:
    emulator.script("m", fault)
    with pytest.raises(ContextOverflow, match="larger than m can hold"):
        await (await connect()).reply(ASK, [])
    assert naps.seconds == []


async def test_a_wrong_key_names_the_setting(emulator: ModelEmulator, connect: Connect) -> None:
    emulator.script("m", say("unreachable"))
    with pytest.raises(ModelRefused, match="OPENAI_API_KEY"):
        await (await connect(api_key="wrong")).reply(ASK, [])
    assert emulator.take_violations() == ["401 Incorrect API key provided."]
    assert (await (await connect()).reply(ASK, [])).text == "unreachable"


async def test_an_unknown_model_names_the_setting(emulator: ModelEmulator, connect: Connect) -> None:
    with pytest.raises(ModelRefused, match=r"does not know the model nobody .*AGENT_MODEL"):
        await (await connect(unknown_model("nobody"))).reply(ASK, [])
    assert len(emulator.take_violations()) == 1


async def test_a_used_up_quota_is_not_retried(emulator: ModelEmulator, connect: Connect, naps: Naps) -> None:
    emulator.script("m", HttpFault(429, "You exceeded your current quota.", "insufficient_quota"))
    with pytest.raises(ModelRefused, match="billing"):
        await (await connect()).reply(ASK, [])
    assert naps.seconds == []


async def test_an_invalid_request_is_refused_with_the_services_words(
    emulator: ModelEmulator, connect: Connect
) -> None:
    emulator.script("m", say("unused"))
    with pytest.raises(ModelRefused, match="must be followed by tool messages"):
        await (await connect()).reply([AssistantMessage("", (ToolCallRequest("a", "bash", "{}"),))], [])
    emulator.take_violations()
    assert (await (await connect()).reply(ASK, [])).text == "unused"


async def test_a_stream_cut_at_any_byte_yields_the_whole_reply_or_none(
    emulator: ModelEmulator, connect: Connect
) -> None:
    whole = replace(tool("bash", command="rm -r 'büild'"), chunk_chars=100, usage=ScriptedUsage(9, 9))
    length = wire_length([whole], "m")
    model = await connect(patience=Patience(attempts=1))
    answered_from = length
    for after_bytes in range(length):
        emulator.script("m", Cut(whole, after_bytes))
        try:
            answer = await model.reply(ASK, [BASH])
        except ModelUnavailable:
            assert answered_from == length, f"whole at {answered_from} bytes, but not at {after_bytes}"
            continue
        answered_from = min(answered_from, after_bytes)
        assert [call.arguments for call in answer.tool_calls] == [whole.tool_calls[0].arguments]
        assert not answer.usage.estimated
    # Only what follows the bill, the closing `[DONE]`, may be missing from a reply that counts.
    assert length - len(b"data: [DONE]\n\n") - 2 <= answered_from < length


async def test_after_a_cut_the_whole_call_is_made_again(emulator: ModelEmulator, connect: Connect) -> None:
    whole = together(tool("bash", command="rm -rf build"), text="Cleaning up.")
    emulator.script("m", Cut(whole, wire_length([whole], "m") // 2), whole)
    heard: list[str] = []

    async def hear(text: str) -> None:
        heard.append(text)

    answer = await (await connect()).reply(ASK, [BASH], on_text=hear)
    assert [call.arguments for call in answer.tool_calls] == ['{"command": "rm -rf build"}']
    assert heard == ["Cleaning up.", "Cleaning up."]


async def test_a_cut_in_every_attempt_yields_nothing(emulator: ModelEmulator, connect: Connect) -> None:
    emulator.script("m", *[Cut(tool("bash", command="rm -rf build"), 700)] * 2)
    with pytest.raises(ModelUnavailable):
        await (await connect(patience=Patience(attempts=2))).reply(ASK, [BASH])


async def test_malformed_arguments_and_unknown_tools_are_handed_on_as_written(
    emulator: ModelEmulator, connect: Connect
) -> None:
    emulator.script("m", together(raw_tool("bash", '{"command": '), tool("teleport", to="mars")))
    answer = await (await connect()).reply(ASK, [BASH])
    assert [(call.tool, call.arguments) for call in answer.tool_calls] == [
        ("bash", '{"command": '),
        ("teleport", '{"to": "mars"}'),
    ]


async def test_calls_cut_short_by_the_length_limit_are_dropped(
    emulator: ModelEmulator, connect: Connect
) -> None:
    calls = together(tool("bash", command="ls"), raw_tool("bash", '{"command": "rm -'))
    emulator.script("m", Reply(tool_calls=calls.tool_calls, finish_reason="length"))
    answer = await (await connect()).reply(ASK, [BASH])
    assert [call.arguments for call in answer.tool_calls] == ['{"command": "ls"}']
    assert answer.finish_reason == "length"


async def test_twin_call_ids_are_told_apart_so_that_the_history_stays_valid(
    emulator: ModelEmulator, connect: Connect
) -> None:
    emulator.script("m", same_ids(tool("bash", command="ls"), tool("bash", command="pwd")), say("done"))
    model = await connect()
    answer = await model.reply(ASK, [BASH])
    first, second = (call.call_id for call in answer.tool_calls)
    assert first != second
    history: list[ModelMessage] = [*ASK, AssistantMessage(answer.text, answer.tool_calls)]
    await model.reply([*history, ToolMessage.of(first, "a"), ToolMessage.of(second, "b")], [BASH])


async def test_an_empty_reply_is_a_reply(emulator: ModelEmulator, connect: Connect) -> None:
    emulator.script("m", nothing())
    answer = await (await connect()).reply(ASK, [])
    assert (answer.text, answer.tool_calls, answer.finish_reason) == ("", (), "stop")


async def test_fallbacks_answer_in_order(emulator: ModelEmulator, connect: Connect) -> None:
    once = Patience(attempts=1)
    emulator.script("first", HttpFault(503))
    emulator.script("second", Reset())
    emulator.script("third", say("I am here"))
    chain = ModelChain([await connect(unknown_model(name), once) for name in ("first", "second", "third")])
    assert (await chain.reply(ASK, [])).model == "third"


async def test_a_total_outage_names_every_model(emulator: ModelEmulator, connect: Connect) -> None:
    once = Patience(attempts=1)
    emulator.script("first", HttpFault(503))
    emulator.script("second", HttpFault(500))
    chain = ModelChain([await connect(unknown_model(name), once) for name in ("first", "second")])
    with pytest.raises(ModelUnavailable, match=r"model first is.*503.*model second is.*500"):
        await chain.reply(ASK, [])


async def test_overflow_is_not_a_reason_to_fall_back(emulator: ModelEmulator, connect: Connect) -> None:
    emulator.script("first", context_overflow())
    chain = ModelChain([await connect(unknown_model("first")), await connect(unknown_model("second"))])
    with pytest.raises(ContextOverflow):
        await chain.reply(ASK, [])


def test_the_shipped_catalogue_loads_and_prices() -> None:
    spec = load_models().spec("gpt-5-mini")
    assert spec.window_tokens > spec.output_reserve_tokens > 0
    # 0.25 fresh + 0.025 cached + 2.00 output, each for a million tokens
    assert spec.price(Usage(2_000_000, 1_000_000, 1_000_000)) == Decimal("2.275")


def test_an_unlisted_model_has_safe_defaults_and_an_unknown_price() -> None:
    spec = load_models().spec("somebody/else")
    assert (spec.id, spec.window_tokens, spec.vision) == ("somebody/else", UNKNOWN_WINDOW_TOKENS, False)
    assert spec.price(Usage(10, 0, 10)) is None


@pytest.mark.parametrize(
    "text",
    [
        "models: [{id: a, window: 10, output_reserve: 10}]",
        "models: [{id: a, window: 10, output_reserve: 1, colour: red}]",
        "models: [{id: a, window: 10, output_reserve: 1}, {id: a, window: 9, output_reserve: 1}]",
        "models: [",
        "",
    ],
)
def test_a_bad_catalogue_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(text)
    with pytest.raises(BadModelCatalogue, match=r"models\.yaml"):
        load_models(file)
