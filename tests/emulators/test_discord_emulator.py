"""The emulated Discord refuses what the real one would, in the same words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.emulators.discord.emulator import DiscordEmulator, DiscordMisused
from tests.emulators.discord.faults import TooMany
from tests.emulators.discord.gateway import (
    AUTHENTICATION_FAILED,
    DISALLOWED_INTENTS,
    GUILD_MESSAGES,
    GUILDS,
    MESSAGE_CONTENT,
    NOT_AUTHENTICATED,
)
from tests.emulators.discord.interactions import COMMAND_USED, PRESSED
from tests.emulators.discord.rate_limits import RateLimiter, RateLimits
from tests.emulators.discord.refusals import Json
from tests.emulators.faults import Dropped, ServerError

V2 = 1 << 15


class Client:
    """Calls the REST API as an app does."""

    def __init__(self, discord: DiscordEmulator, http: aiohttp.ClientSession) -> None:
        self.discord = discord
        self.http = http

    async def call(self, method: str, path: str, body: object = None, token: str = "") -> tuple[int, Any]:
        """Status and body of the answer."""
        headers = {"Authorization": f"Bot {token or self.discord.token}"}
        url = f"{self.discord.api_url}{path}"
        async with self.http.request(method, url, json=body, headers=headers) as answer:
            content = await answer.json() if answer.content_type == "application/json" else None
            return answer.status, content

    async def code(self, method: str, path: str, body: object = None) -> int:
        """Discord's code of a refusal."""
        _, answer = await self.call(method, path, body)
        return int(answer["code"])


@pytest.fixture
async def discord() -> AsyncIterator[DiscordEmulator]:
    async with DiscordEmulator(allow_unread=True) as running:
        yield running


@pytest.fixture
async def client(discord: DiscordEmulator) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http:
        yield Client(discord, http)


def text(content: str, **fields: object) -> Json:
    return {"type": 10, "content": content, **fields}


def box(*components: Json, **fields: object) -> Json:
    return {"type": 17, "components": list(components), **fields}


def button(**fields: object) -> Json:
    return {"type": 2, "style": 1, "label": "x", "custom_id": "b", **fields}


def row(*components: Json) -> Json:
    return {"type": 1, "components": list(components)}


def menu(options: int) -> Json:
    return {
        "type": 3,
        "custom_id": "m",
        "options": [{"label": str(n), "value": str(n)} for n in range(options)],
    }


SIX_BUTTONS = [button(custom_id=str(number)) for number in range(6)]
FIRST_OF_ROW = "components.0.components.0"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "content"),
        ({"content": "x" * 2_001}, "content"),
        ({"content": "🎉" * 1_001}, "content"),
        ({"content": "x", "nonce": "n" * 26}, "nonce"),
        ({"content": "x", "poll": {}}, "body"),
        ({"content": "x", "flags": 1 << 6}, "flags"),
        ({"content": "x", "components": [text("y")], "flags": V2}, "content"),
        ({"components": [text("x")]}, "components"),
        ({"components": [], "flags": V2}, "content"),
        ({"components": [text("")], "flags": V2}, "components.0.content"),
        ({"components": [text("x" * 4_001)], "flags": V2}, "components.0.content"),
        ({"components": [text("x" * 2_001), text("y" * 2_000)], "flags": V2}, "components"),
        ({"components": [text("x")] * 41, "flags": V2}, "components"),
        ({"components": [box()], "flags": V2}, "components.0.components"),
        ({"components": [box(box(text("x")))], "flags": V2}, "components.0.components.0"),
        ({"components": [text("x", id=7), text("y", id=7)], "flags": V2}, "components"),
        ({"components": [text("x", id=2**31)], "flags": V2}, "components.0.id"),
        ({"components": [text("x", colour=3)], "flags": V2}, "components.0"),
        ({"components": [button()], "flags": V2}, "components.0"),
        ({"components": [row()], "flags": V2}, "components.0.components"),
        (
            {"components": [row(*[button(custom_id=str(n)) for n in range(6)])], "flags": V2},
            "components.0.components",
        ),
        ({"components": [row(button(), menu(2))], "flags": V2}, "components.0.components"),
        ({"components": [row(button(), button())], "flags": V2}, "components"),
        ({"components": [row(button(label="x" * 81))], "flags": V2}, "components.0.components.0.label"),
        (
            {"components": [row(button(custom_id="x" * 101))], "flags": V2},
            "components.0.components.0.custom_id",
        ),
        ({"components": [row(button(url="https://x.y"))], "flags": V2}, "components.0.components.0.url"),
        ({"components": [row(button(style=5))], "flags": V2}, "components.0.components.0.custom_id"),
        ({"components": [row(menu(26))], "flags": V2}, "components.0.components.0.options"),
        ({"components": [{"type": 9, "components": [text("x")]}], "flags": V2}, "components.0.accessory"),
        ({"components": [{"type": 14, "spacing": 3}], "flags": V2}, "components.0.spacing"),
    ],
)
async def test_content_beyond_the_limits_is_refused_by_field(
    discord: DiscordEmulator, client: Client, body: Json, where: str
) -> None:
    room = discord.channel("billing")
    status, answer = await client.call("POST", f"/channels/{room.id}/messages", body)
    assert (status, answer["code"], answer["message"]) == (400, 50035, "Invalid Form Body")
    spot = answer["errors"]
    for part in where.split("."):
        spot = spot[part]
    assert spot["_errors"][0]["message"]
    assert len(discord.take_violations()) == 1
    assert discord.world.messages == []


async def test_numbers_are_kept_and_given_back(discord: DiscordEmulator, client: Client) -> None:
    room = discord.channel("billing")
    body = {"components": [box(text("one"), row(button()), id=12345)], "flags": V2}
    _, sent = await client.call("POST", f"/channels/{room.id}/messages", body)
    _, read = await client.call("GET", f"/channels/{room.id}/messages/{sent['id']}")
    (outer,) = read["components"]
    assert (outer["id"], [inner["id"] for inner in outer["components"]]) == (12345, [1, 2])
    assert (sent["nonce"], "nonce" in read) == (None, False)
    _, edited = await client.call("PATCH", f"/channels/{room.id}/messages/{sent['id']}", body | {"flags": V2})
    assert edited["components"][0]["id"] == 12345


async def test_whom_a_message_would_ring(discord: DiscordEmulator, client: Client) -> None:
    room = discord.channel("billing")
    path = f"/channels/{room.id}/messages"
    quiet: Json = {"allowed_mentions": {"parse": []}}
    for content in ("@everyone", "<@123>", "<@&123>"):
        await client.call("POST", path, {"content": content} | quiet)
    assert discord.violations == []
    await client.call("POST", path, {"content": "hi <@123> and @here"})
    await client.call("POST", path, {"components": [text("<@&9>")], "flags": V2})
    assert [violation.rpartition(": ")[2] for violation in discord.take_violations()] == [
        "a message rings user 123, here",
        "a message rings role 9",
    ]


async def test_a_nonce_makes_a_second_try_harmless(discord: DiscordEmulator, client: Client) -> None:
    room = discord.channel("billing")
    path = f"/channels/{room.id}/messages"
    once = {"content": "once", "nonce": "n1", "enforce_nonce": True}
    (_, first), (_, second) = await client.call("POST", path, once), await client.call("POST", path, once)
    assert first["id"] == second["id"]
    await client.call("POST", path, once | {"enforce_nonce": False})
    assert len(discord.world.messages) == 2


async def test_what_is_not_there_or_not_ones_own_is_told_apart(
    discord: DiscordEmulator, client: Client
) -> None:
    ada = discord.person("Ada")
    room, hidden = discord.channel("billing"), discord.channel("hidden", denied={"view_channel"})
    said = ada.say(room, "mine")
    at = f"/channels/{room.id}/messages"
    assert await client.code("POST", "/channels/4/messages", {"content": "x"}) == 10003
    assert await client.code("POST", f"/channels/{hidden.id}/messages", {"content": "x"}) == 50001
    assert await client.code("GET", f"{at}/4") == 10008
    assert await client.code("PUT", f"{at}/{said.id}/reactions/nonsense/@me") == 10014
    assert await client.code("GET", f"/guilds/{discord.guild_id}/members/4") == 10013
    shy = discord.person("Shy", takes_messages=False)
    _, direct = await client.call("POST", "/users/@me/channels", {"recipient_id": shy.id})
    assert await client.code("POST", f"/channels/{direct['id']}/messages", {"content": "x"}) == 50007
    assert discord.violations == []
    assert await client.code("PATCH", f"{at}/{said.id}", {"content": "yours"}) == 50005
    assert (await client.call("GET", "/users/@me", token="wrong"))[0] == 401
    assert (await client.call("GET", "/gateway/bot"))[0] == 404
    assert len(discord.take_violations()) == 3


async def test_threads_take_the_id_of_their_message_and_go_to_sleep(
    discord: DiscordEmulator, client: Client
) -> None:
    room = discord.channel("billing")
    said = discord.person("Ada").say(room, "fix it")
    begin = f"/channels/{room.id}/messages/{said.id}/threads"
    _, thread = await client.call("POST", begin, {"name": "fix it"})
    assert (thread["id"], thread["parent_id"]) == (str(said.id), str(room.id))
    assert await client.code("POST", begin, {"name": "again"}) == 160004
    path = f"/channels/{said.id}/messages"
    _, sent = await client.call("POST", path, {"content": "working"})
    found = discord.world.channels[said.id]
    found.archived = True
    assert await client.code("PATCH", f"{path}/{sent['id']}", {"content": "done"}) == 50083
    await client.call("PATCH", f"/channels/{said.id}", {"archived": False})
    assert (await client.call("PATCH", f"{path}/{sent['id']}", {"content": "done"}))[0] == 200
    _, history = await client.call("GET", f"{path}?limit=10")
    assert [(m["type"], m["content"]) for m in history] == [(0, "done"), (21, "")]
    found.locked = True
    assert await client.code("POST", path, {"content": "more"}) == 160005


async def test_interactions_wait_three_seconds_and_their_tokens_fifteen_minutes(
    discord: DiscordEmulator, client: Client
) -> None:
    room, ada = discord.channel("billing"), discord.person("Ada").user
    late, once = (discord.interactions.begin(COMMAND_USED, ada, room) for _ in range(2))
    defer = {"type": 5, "data": {"flags": 64}}
    assert await client.code("POST", f"/interactions/{once.id}/{once.token}/callback", {"type": 6}) == 50035
    assert (await client.call("POST", f"/interactions/{once.id}/{once.token}/callback", defer))[0] == 200
    assert await client.code("POST", f"/interactions/{once.id}/{once.token}/callback", defer) == 40060
    hook = f"/webhooks/{discord.world.application_id}"
    _, said = await client.call("POST", f"{hook}/{once.token}", {"content": "only you"})
    assert (said["flags"], discord.world.messages[-1].only_for) == (64, ada)
    discord.let_time_pass(3.1)
    assert await client.code("POST", f"/interactions/{late.id}/{late.token}/callback", defer) == 10062
    assert await client.code("POST", f"{hook}/{late.token}", {"content": "x"}) == 10062
    discord.let_time_pass(15 * 60)
    assert await client.code("POST", f"{hook}/{once.token}", {"content": "more"}) == 50027
    assert len(discord.take_violations()) == 1
    discord.interactions.begin(PRESSED, ada, room).answer = 5
    with pytest.raises(DiscordMisused, match="1 interactions"):
        await discord.__aexit__(None, None, None)
    discord.interactions.all.clear()


def test_calls_are_counted_by_route_and_channel_and_all_together() -> None:
    clock = [100.0]
    limiter = RateLimiter(RateLimits(limit=2, seconds=5, overall=4, of={"x": (1, 1.0)}), lambda: clock[0])
    first, second, third = (limiter.ask("send", "1") for _ in range(3))
    assert (first.headers["X-RateLimit-Remaining"], second.headers["X-RateLimit-Remaining"]) == ("1", "0")
    assert (third.retry_after, third.body()["global"]) == (5.001, False)
    assert [limiter.ask("send", "2").retry_after for _ in range(2)] == [None, None]
    assert limiter.ask("read", "1").body() == {
        "message": "You are being rate limited.",
        "retry_after": 1.001,
        "global": True,
    }
    clock[0] += 5
    assert [limiter.ask("x", "1").retry_after for _ in range(2)] == [None, 1.001]
    assert limiter.ask("send", "1").retry_after is None


async def test_faults_before_and_after_the_effect(discord: DiscordEmulator, client: Client) -> None:
    room = discord.channel("billing")
    path, route = f"/channels/{room.id}/messages", "POST /channels/{}/messages"
    discord.fail_next(route, TooMany(7), ServerError(503), ServerError(500, committed=True), Dropped())
    assert (await client.call("POST", path, {"content": "limited"}))[1]["retry_after"] == 7
    assert (await client.call("POST", path, {"content": "lost"}))[0] == 503
    assert (await client.call("POST", path, {"content": "made it"}))[0] == 500
    with pytest.raises(aiohttp.ClientError):
        await client.call("POST", path, {"content": "too"})
    assert [message.content for message in discord.world.messages] == ["made it", "too"]


async def identify(ws: aiohttp.ClientWebSocketResponse, token: str, intents: int) -> int | None:
    """Greets the gateway; the code with which it closes, None when it does not."""
    assert (await ws.receive_json())["op"] == 10
    await ws.send_json({"op": 2, "d": {"token": token, "intents": intents, "properties": {}}})
    answer = await ws.receive()
    return answer.data if answer.type is aiohttp.WSMsgType.CLOSE else None


async def test_the_gateway_takes_only_what_was_granted(client: Client) -> None:
    async with DiscordEmulator(message_content=False) as discord:
        url = f"{discord.gateway_url}?v=10&encoding=json"
        for token, intents, code in (
            ("wrong", GUILDS, AUTHENTICATION_FAILED),
            (discord.token, GUILDS | MESSAGE_CONTENT, DISALLOWED_INTENTS),
            (discord.token, GUILDS, None),
        ):
            async with client.http.ws_connect(url) as ws:
                assert await identify(ws, token, intents) == code
        async with client.http.ws_connect(url) as ws:
            await ws.receive_json()
            await ws.send_json({"op": 8, "d": {}})
            assert (await ws.receive()).data == NOT_AUTHENTICATED
        assert len(discord.take_violations()) == 1


async def test_a_session_is_told_what_it_asked_for_and_what_it_missed(
    discord: DiscordEmulator, client: Client
) -> None:
    room, ada = discord.channel("billing"), discord.person("Ada")
    url = f"{discord.gateway_url}?v=10&encoding=json"
    async with client.http.ws_connect(url) as ws:
        assert (await ws.receive_json())["op"] == 10
        await ws.send_json({"op": 2, "d": {"token": discord.token, "intents": GUILDS | GUILD_MESSAGES}})
        ready, guild = await ws.receive_json(), await ws.receive_json()
        assert (ready["t"], guild["t"]) == ("READY", "GUILD_CREATE")
        assert [channel["name"] for channel in guild["d"]["channels"]] == ["billing"]
        ada.say(room, "among ourselves", mention_bot=False)
        ada.say(room, "to you")
        ada.react(ada.say(room, "later"), "👍")
        told = [await ws.receive_json() for _ in range(3)]
        assert [event["d"]["content"].partition("> ")[2] for event in told] == ["", "to you", "later"]
        await ws.send_json({"op": 1, "d": told[-1]["s"]})
        assert (await ws.receive_json())["op"] == 11
    await discord.wait_for(lambda: not discord.gateway.live)
    ada.say(room, "while away")
    session = {"token": discord.token, "session_id": ready["d"]["session_id"], "seq": told[-1]["s"]}
    async with client.http.ws_connect(url) as ws:
        await ws.receive_json()
        await ws.send_json({"op": 6, "d": session})
        missed, resumed = await ws.receive_json(), await ws.receive_json()
        assert (missed["d"]["content"].endswith("while away"), resumed["t"]) == (True, "RESUMED")
    async with client.http.ws_connect(url) as ws:
        await ws.receive_json()
        await ws.send_json({"op": 6, "d": session | {"session_id": "another"}})
        assert await ws.receive_json() == {"op": 9, "d": False}


async def test_messages_nobody_looked_at_fail_the_test(client: Client) -> None:
    discord = DiscordEmulator()
    async with discord:
        room = discord.channel("billing")
        await Client(discord, client.http).call("POST", f"/channels/{room.id}/messages", {"content": "x"})
        with pytest.raises(DiscordMisused, match="messages nobody read"):
            await discord.__aexit__(None, None, None)
        discord.channel_messages(room)
