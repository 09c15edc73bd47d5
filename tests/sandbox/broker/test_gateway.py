"""Model calls through the broker: passed on byte for byte, counted, refused where they must be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest
from starlette.types import Message

from deploy.demo.replies import Reply, ScriptedUsage
from sandbox.agent.model import BudgetSpent, ModelHalted, ModelRefused, ModelUnavailable, UserMessage
from sandbox.agent.model_gateway import BROKER_MODELS
from sandbox.broker.passage import Passage
from sandbox.broker.usage_meter import UsageMeter
from session.broker import model_headers
from session.policy import Budgets
from tests.emulators.model.turns import Cut, Held, HttpFault, Reset, rate_limited, say
from tests.sandbox.broker.gateways import ADA, SESSION, UNPRICED, GatewayStage, gateway_stage

ASK = [UserMessage.of("Hello")]
BODY = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "max_completion_tokens": 50}
STREAM = {**BODY, "stream": True, "stream_options": {"include_usage": True}}
ADDRESS = f"{BROKER_MODELS}/chat/completions"
BILLED = Reply(text="Hi there", usage=ScriptedUsage(100, 10, 20))


@pytest.fixture
async def stage(database_url: str, bellhop_home: Path) -> AsyncIterator[GatewayStage]:
    async with gateway_stage(database_url, bellhop_home) as stage:
        yield stage


async def direct(stage: GatewayStage, body: object) -> bytes:
    """The provider's answer without the gateway."""
    async with httpx2.AsyncClient(timeout=60) as client:
        key = {"Authorization": f"Bearer {stage.emulator.api_key}"}
        answer = await client.post(f"{stage.emulator.base_url}/chat/completions", json=body, headers=key)
        return answer.content


async def ask(stage: GatewayStage, body: object = BODY, **headers: str) -> httpx2.Response:
    return await stage.http.post(ADDRESS, json=body, headers={**model_headers(SESSION, "agent"), **headers})


def without_numbers(answer: bytes) -> bytes:
    """The answer without what the emulator counts up from call to call."""
    lines = [line for line in answer.split(b"\n") if line.startswith(b"data: {")]
    return b"\n".join(json.dumps({**json.loads(line[6:]), "id": "", "created": 0}).encode() for line in lines)


async def test_a_call_is_passed_on_with_the_real_key_and_counted(stage: GatewayStage) -> None:
    stage.emulator.script("m", BILLED)
    reply = await stage.model().reply(ASK, [])
    assert reply.text == "Hi there"
    assert await stage.spending.spent(SESSION) == {"tokens": 110, "money_usd": 100}
    assert await stage.audited() == [("model.call", "m", SESSION, "allowed")]
    assert await stage.database.rows("SELECT id FROM reservations") == []


async def test_a_stream_comes_back_byte_for_byte(stage: GatewayStage) -> None:
    stage.emulator.script("m", BILLED, BILLED)
    passed = await ask(stage, STREAM)
    assert passed.headers["content-type"].startswith("text/event-stream")
    expected = await direct(stage, STREAM)
    assert without_numbers(passed.content) == without_numbers(expected)
    assert passed.content.endswith(b"data: [DONE]\n\n")
    assert len(passed.content) == len(expected)


async def test_words_come_before_the_answer_is_whole(stage: GatewayStage) -> None:
    held = Held(Reply(text="one two three"), after_events=2)
    stage.emulator.script("m", held)
    async with stage.http.stream(
        "POST", ADDRESS, json=STREAM, headers=model_headers(SESSION, "agent")
    ) as answer:
        pieces = answer.aiter_raw()
        first = await asyncio.wait_for(anext(pieces), 60)
        assert not held.released.is_set()
        held.release()
        rest = b"".join([piece async for piece in pieces])
    assert first.startswith(b"data: {")
    assert rest.endswith(b"data: [DONE]\n\n")


async def test_an_answer_in_one_piece_is_counted_too(stage: GatewayStage) -> None:
    stage.emulator.script("m", BILLED)
    answer = await ask(stage)
    assert answer.json()["choices"][0]["message"]["content"] == "Hi there"
    assert await stage.spending.spent(SESSION) == {"tokens": 110, "money_usd": 100}


async def test_errors_come_back_as_they_are(stage: GatewayStage) -> None:
    stage.emulator.script("m", rate_limited("7"))
    answer = await ask(stage)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"
    assert await stage.spending.spent(SESSION) == {}


async def test_a_key_that_the_provider_echoes_is_taken_out(stage: GatewayStage) -> None:
    key = stage.emulator.api_key
    stage.emulator.script("m", HttpFault(401, f"No such key: {key}"), say(f"It is {key}."))
    refused = await ask(stage)
    streamed = await ask(stage, STREAM)
    assert key not in refused.text + streamed.text
    assert refused.json()["error"]["message"] == f"No such key: {'*' * len(key)}"


async def test_a_price_nobody_told_us_counts_tokens_only(stage: GatewayStage) -> None:
    stage.emulator.script("u", BILLED)
    await stage.model(UNPRICED).reply(ASK, [])
    assert await stage.spending.spent(SESSION) == {"tokens": 110}


async def test_what_is_not_reported_is_estimated(stage: GatewayStage) -> None:
    stage.emulator.script("m", say("x" * 400))
    await ask(stage, {**STREAM, "stream_options": {"include_usage": False}})
    assert 100 <= (await stage.spending.spent(SESSION))["tokens"] <= 130


async def test_a_stream_that_breaks_breaks_here_too_and_is_counted(stage: GatewayStage) -> None:
    stage.emulator.script("m", Cut(say("word " * 200), after_bytes=3000))
    with pytest.raises(httpx2.RemoteProtocolError):
        await ask(stage, STREAM)
    assert (await stage.spending.spent(SESSION))["tokens"] > 0
    assert await stage.database.rows("SELECT id FROM reservations") == []


async def test_a_provider_that_resets_is_told_and_costs_nothing(stage: GatewayStage) -> None:
    stage.emulator.script("m", Reset(), Reset())
    answer = await ask(stage)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_unreachable")
    assert await stage.spending.spent(SESSION) == {}
    stage.emulator.script("m", Reset())
    with pytest.raises(ModelUnavailable, match="the connection failed"):
        await stage.model().reply(ASK, [])


@pytest.mark.parametrize("events", [0, 1])
async def test_a_caller_who_hangs_up_ends_the_call(stage: GatewayStage, events: int) -> None:
    held = Held(say("never"), after_events=events)
    stage.emulator.script("m", held)
    call = asyncio.create_task(stage.model().reply(ASK, []))
    await asyncio.wait_for(held.reached.wait(), 60)
    call.cancel()
    if events:  # a server that has sent nothing yet does not notice
        await asyncio.wait_for(held.abandoned.wait(), 60)
    async with asyncio.timeout(60):
        while not await stage.spending.spent(SESSION):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await stage.database.rows("SELECT id FROM reservations") == []


async def test_a_caller_who_hangs_up_while_it_is_counted_is_counted_too(stage: GatewayStage) -> None:
    stage.emulator.script("m", BILLED)
    counting, gone, counted = asyncio.Event(), asyncio.Event(), list[int]()
    written = asyncio.Event()

    async def settle(meter: UsageMeter | None) -> None:
        counting.set()
        await written.wait()
        assert meter is not None
        counted.append(meter.usage.output_tokens)

    async def receive() -> Message:
        await gone.wait()
        # Whoever serves the call hears it first, and the row is written after that.
        asyncio.get_running_loop().call_later(0, written.set)
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        """Nobody listens."""

    key = {"Authorization": f"Bearer {stage.emulator.api_key}"}
    async with httpx2.AsyncClient(timeout=60) as client:
        call = client.build_request(
            "POST", f"{stage.emulator.base_url}/chat/completions", json=STREAM, headers=key
        )
        passage = Passage(client, call, stage.emulator.api_key, UsageMeter(1), settle)
        serving = asyncio.create_task(passage({"type": "http"}, receive, send))
        await asyncio.wait_for(counting.wait(), 60)
        gone.set()
        await asyncio.wait_for(serving, 60)
    assert counted == [10]


async def test_nothing_is_asked_while_everything_is_switched_off(stage: GatewayStage) -> None:
    await stage.switch.engage(ADA, "it went wild")
    with pytest.raises(ModelHalted, match="Ada has stopped all work: it went wild"):
        await stage.model().reply(ASK, [])
    assert stage.emulator.requests == []


async def test_nothing_is_asked_that_cannot_be_audited(database_url: str, bellhop_home: Path) -> None:
    async with gateway_stage(
        database_url, bellhop_home, limits=Budgets(tokens=100), audit_away=True
    ) as stage:
        with pytest.raises(ModelUnavailable, match="cannot be put on record"):
            await stage.model().reply(ASK, [])
        assert stage.emulator.requests == []
        assert await stage.database.rows("SELECT id FROM reservations") == []


async def test_a_call_needs_a_session_that_is_there(stage: GatewayStage) -> None:
    nobody = await stage.http.post(ADDRESS, json=BODY)
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (400, "malformed")
    unknown = await ask(stage, **model_headers("s-none", "agent"))
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "no_such_session")
    purpose = await ask(stage, **model_headers(SESSION, "fun"))
    assert purpose.status_code == 400
    bodies: list[object] = [[], {"messages": []}, {**BODY, "n": 0}]
    for body in bodies:
        assert (await ask(stage, body)).status_code == 400
    assert stage.emulator.requests == []


async def test_models_are_listed(stage: GatewayStage) -> None:
    stage.emulator.play("m", lambda _: say("x"))
    listed = await stage.http.get(f"{BROKER_MODELS}/models")
    assert [model["id"] for model in listed.json()["data"]] == ["m"]


async def test_a_used_up_budget_refuses_with_its_name(database_url: str, bellhop_home: Path) -> None:
    async with gateway_stage(
        database_url, bellhop_home, limits=Budgets(money_usd=Decimal("0.0001"))
    ) as stage:
        stage.emulator.script("m", BILLED)
        await stage.model().reply(ASK, [])
        with pytest.raises(BudgetSpent, match="used up its budget of money") as refused:
            await stage.model().reply(ASK, [])
        assert refused.value.budget == "money_usd"
        assert [entry[3] for entry in await stage.audited()] == ["allowed", "refused"]


async def test_twenty_calls_at_once_pass_one_at_the_limit(database_url: str, bellhop_home: Path) -> None:
    async with gateway_stage(database_url, bellhop_home, limits=Budgets(tokens=100)) as stage:
        held = Held(BILLED, after_events=0)
        stage.emulator.script("m", held)
        dear = {**BODY, "max_completion_tokens": 100}
        first = asyncio.create_task(ask(stage, dear))
        await asyncio.wait_for(held.reached.wait(), 60)
        others = await asyncio.gather(*(ask(stage, dear) for _ in range(19)))
        assert {answer.json()["error"]["code"] for answer in others} == {"budget_reserved"}
        held.release()
        assert (await first).status_code == 200
        assert (await ask(stage)).json()["error"]["code"] == "budget_spent"
        assert len(stage.emulator.requests) == 1


async def test_a_limit_for_all_holds_where_the_repository_has_none(
    database_url: str, bellhop_home: Path
) -> None:
    async with gateway_stage(database_url, bellhop_home, money_usd=Decimal("0.0001")) as stage:
        await stage.spending.spend(SESSION, {"money_usd": 100})
        with pytest.raises(BudgetSpent):
            await stage.model().reply(ASK, [])


@pytest.mark.databases("sqlite")
async def test_a_broker_that_is_away_is_named_at_once(database_url: str, bellhop_home: Path) -> None:
    async with gateway_stage(database_url, bellhop_home) as stage:
        (bellhop_home / "broker.sock").unlink()
        with pytest.raises(ModelUnavailable, match="broker") as away:
            await stage.model().reply(ASK, [])
        assert "tried" not in str(away.value)


@pytest.mark.databases("sqlite")
async def test_what_the_gateway_cannot_read_is_refused_for_good(stage: GatewayStage) -> None:
    model = stage.model()
    stage.emulator.script("m", HttpFault(400, "no such field"))
    with pytest.raises(ModelRefused, match="no such field"):
        await model.reply(ASK, [])
