from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from deploy.demo.chat_requests import ChatRequest, RequestRefused, parse_chat_request
from deploy.demo.replies import Reply
from tests.emulators.model.emulator import ModelEmulator, ModelMisused
from tests.emulators.model.turns import Held, say, say_json, tool

USER = {"role": "user", "content": "hello"}
CALL = {"id": "a", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
ANSWER = {"role": "tool", "tool_call_id": "a", "content": "ok"}
STRICT = {
    "type": "object",
    "properties": {"x": {"type": "string"}},
    "required": ["x"],
    "additionalProperties": False,
}


def structured(schema: object, name: str = "choice") -> dict[str, object]:
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


def function(name: str, parameters: object) -> dict[str, object]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"messages": []}, "non-empty array"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "Invalid value: 'wizard'"),
        ({"messages": [{"role": "user", "content": None}]}, "got null"),
        ({"messages": [USER, ANSWER]}, "must be a response to a preceding message"),
        ({"messages": [CALLING]}, "No response for: a"),
        ({"messages": [CALLING, USER, ANSWER]}, "No response for: a"),
        ({"messages": [CALLING, ANSWER, ANSWER]}, "must be a response to a preceding message"),
        ({"messages": [{**CALLING, "tool_calls": [CALL, CALL]}, ANSWER]}, "Duplicate tool call id"),
        ({"messages": [{**CALLING, "tool_calls": []}]}, "empty array"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "part",
        ),
        ({"tools": []}, "1 to 128"),
        ({"tools": [function("no spaces", STRICT)]}, "name"),
        ({"tools": [function("f", {"type": "array"})]}, "type must be 'object'"),
        ({"tools": [function("f", STRICT), function("f", STRICT)]}, "unique"),
        ({"stream_options": {"include_usage": True}}, "only allowed when 'stream'"),
        ({"colour": "red"}, "Unrecognized request argument supplied: colour"),
        ({"response_format": structured({"type": "array"})}, "type 'object' at its root"),
        ({"response_format": structured({**STRICT, "additionalProperties": True})}, "additionalProperties"),
        ({"response_format": structured({**STRICT, "required": []})}, "Missing 'x'"),
        ({"response_format": structured({**STRICT, "properties": {"x": {}}})}, "must have a 'type' key"),
        ({"response_format": structured({**STRICT, "allOf": []})}, "'allOf' is not permitted"),
        ({"response_format": structured(STRICT, name="")}, "name"),
    ],
)
def test_what_the_service_refuses_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestRefused, match=words):
        parse_chat_request({"model": "m", "messages": [USER], **fields})


def test_what_the_service_takes_is_taken() -> None:
    request = parse_chat_request(
        {
            "model": "m",
            "messages": [USER, CALLING, ANSWER, {"role": "assistant", "content": "done"}],
            "tools": [function("bash", STRICT)],
            "stream": True,
            "stream_options": {"include_usage": True},
            "response_format": structured(STRICT),
        }
    )
    assert request.tool_names == ("bash",)
    assert request.response_schema == STRICT
    assert request.said_by("tool")[0].text == "ok"
    assert request.last.text == "done"
    assert request.include_usage


@pytest.fixture
async def emulator() -> AsyncIterator[ModelEmulator]:
    async with ModelEmulator() as running:
        yield running


@pytest.fixture
async def http(emulator: ModelEmulator) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {emulator.api_key}"}
    async with httpx2.AsyncClient(base_url=emulator.base_url, headers=headers) as client:
        yield client


async def ask(http: httpx2.AsyncClient, model: str = "m", **fields: object) -> httpx2.Response:
    return await http.post("/chat/completions", json={"model": model, "messages": [USER], **fields})


async def test_each_model_follows_its_own_script(emulator: ModelEmulator, http: httpx2.AsyncClient) -> None:
    emulator.script("small", say_json(repository="acme/web"))
    emulator.script("large", tool("bash", command="ls"), say("done"))

    small = (await ask(http, "small")).json()["choices"][0]
    first, second = [(await ask(http, "large")).json()["choices"][0] for _ in range(2)]

    assert small["message"]["content"] == '{"repository": "acme/web"}'
    assert first["message"]["tool_calls"][0]["function"]["arguments"] == '{"command": "ls"}'
    assert (first["finish_reason"], second["message"]["content"]) == ("tool_calls", "done")
    assert [request.model for request in emulator.requests] == ["small", "large", "large"]
    assert [entry["id"] for entry in (await http.get("/models")).json()["data"]] == ["small", "large"]


async def test_recordings_are_taken_as_strictly_as_by_the_service(
    emulator: ModelEmulator, http: httpx2.AsyncClient
) -> None:
    emulator.hear("ears", "Round half up.")

    async def send(name: str, content: bytes, **fields: str) -> httpx2.Response:
        asked = {"model": "ears", **fields}
        return await http.post("/audio/transcriptions", data=asked, files={"file": (name, content)})

    assert (await send("clip.amr", b"x")).status_code == 400
    assert (await send("clip.m4a", b"")).status_code == 400
    assert (await send("clip.m4a", b"x", colour="red")).status_code == 400
    assert (await send("clip.m4a", b"x", response_format="srt")).status_code == 400
    assert (await send("clip.m4a", b"x", model="nobody")).status_code == 404
    assert (await http.post("/audio/transcriptions", json={"model": "ears"})).status_code == 400
    assert (await http.post("/audio/transcriptions", data={"model": "ears"}, files={})).status_code == 400
    assert len(emulator.take_violations()) == 7
    assert (await send("clip.m4a", b"x")).json() == {"text": "Round half up."}
    assert [(heard.name, heard.content) for heard in emulator.listening.heard] == [("clip.m4a", b"x")]
    assert (await send("clip.m4a", b"x")).status_code == 400, "the script is played out"
    emulator.take_violations()


async def test_a_player_decides_from_the_request(emulator: ModelEmulator, http: httpx2.AsyncClient) -> None:
    def echo(request: ChatRequest) -> Reply:
        return say(request.last.text.upper())

    emulator.play("m", echo)
    assert (await ask(http)).json()["choices"][0]["message"]["content"] == "HELLO"


async def test_a_held_stream_stands_still_until_released(
    emulator: ModelEmulator, http: httpx2.AsyncClient
) -> None:
    held = Held(say("slow"), after_events=1)
    emulator.script("m", held)
    async with asyncio.timeout(60):
        async with http.stream("POST", "/chat/completions", json=_streaming()) as response:
            lines = response.aiter_lines()
            assert '"role": "assistant"' in await anext(lines)
            await held.reached.wait()
            held.release()
            assert [line async for line in lines][-2] == "data: [DONE]"


async def test_hanging_up_on_a_held_stream_is_noticed(
    emulator: ModelEmulator, http: httpx2.AsyncClient
) -> None:
    held = Held(say("slow"), after_events=1)
    emulator.script("m", held)
    async with asyncio.timeout(60):
        async with http.stream("POST", "/chat/completions", json=_streaming()):
            await held.reached.wait()
        await held.abandoned.wait()


async def test_leaving_turns_unplayed_fails() -> None:
    with pytest.raises(ModelMisused, match="'m': 1"):
        async with ModelEmulator() as emulator:
            emulator.script("m", say("never asked for"))
    async with ModelEmulator(allow_leftovers=True) as emulator:
        emulator.script("m", say("never asked for"))


async def test_asking_beyond_the_script_fails() -> None:
    with pytest.raises(ModelMisused, match="no turn left"):
        await _ask_beyond_the_script()


async def _ask_beyond_the_script() -> None:
    async with ModelEmulator() as emulator:
        emulator.script("m")
        headers = {"Authorization": f"Bearer {emulator.api_key}"}
        async with httpx2.AsyncClient(base_url=emulator.base_url, headers=headers) as client:
            assert (await ask(client)).status_code == 400


async def test_an_invalid_request_fails_the_test_even_if_the_client_hides_it() -> None:
    with pytest.raises(ModelMisused, match="401 Incorrect API key"):
        async with ModelEmulator() as emulator, httpx2.AsyncClient() as client:
            assert (await client.get(f"{emulator.base_url}/models")).status_code == 401


def _streaming() -> dict[str, object]:
    return {"model": "m", "messages": [USER], "stream": True}
