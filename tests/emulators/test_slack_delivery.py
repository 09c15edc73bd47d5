from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from tests.emulators.slack.deliveries import NotAcknowledged
from tests.emulators.slack.emulator import SlackEmulator, SlackMisused
from tests.emulators.slack.http_delivery import HttpDelivery
from tests.emulators.slack.interactions import NotOffered


def button(label: str, **fields: str) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": label}, **fields}


MODAL = {
    "type": "modal",
    "callback_id": "choose",
    "title": {"type": "plain_text", "text": "Which repository?"},
    "submit": {"type": "plain_text", "text": "Go"},
    "blocks": [
        {
            "type": "input",
            "block_id": "where",
            "label": {"type": "plain_text", "text": "Repository"},
            "element": {"type": "plain_text_input", "action_id": "slug"},
        }
    ],
}
CARD = [
    {
        "type": "actions",
        "block_id": "choices",
        "elements": [
            {
                "type": "button",
                "action_id": "stop",
                "text": {"type": "plain_text", "text": "Stop"},
                "value": "s1",
            },
            {"type": "button", "action_id": "other", "text": {"type": "plain_text", "text": "Other"}},
            {
                "type": "external_select",
                "action_id": "repository",
                "placeholder": {"type": "plain_text", "text": "All repositories"},
            },
        ],
    }
]


@dataclass
class Seen:
    """What the app under test was told."""

    events: list[dict[str, Any]] = field(default_factory=list)
    event_ids: list[str] = field(default_factory=list)
    actions: list[dict[str, Any]] = field(default_factory=list)
    submitted: list[dict[str, Any]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until_events(self, count: int) -> None:
        """Return once `count` events were handled; bolt acknowledges an event before it handles it."""
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: len(self.events) >= count)

    async def note(self, into: list[dict[str, Any]], what: dict[str, Any]) -> None:
        """Remember something, and let those who wait look."""
        async with self.changed:
            into.append(what)
            self.changed.notify_all()

    async def until(self, into: list[dict[str, Any]]) -> dict[str, Any]:
        """The first thing remembered in `into`."""
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: into)
            return into[0]


def make_app(slack: SlackEmulator, seen: Seen) -> AsyncApp:
    """A real bolt app that notes what it hears."""
    app = AsyncApp(
        client=AsyncWebClient(token=slack.bot_token, base_url=slack.api_url),
        signing_secret=slack.signing_secret,
    )

    async def note(event: dict[str, Any], body: dict[str, Any]) -> None:
        seen.event_ids.append(body["event_id"])
        await seen.note(seen.events, event)

    for name in ("app_mention", "message", "reaction_added", "reaction_removed", "app_home_opened"):
        app.event(name)(note)

    async def on_stop(ack: AsyncAck, body: dict[str, Any], respond: Any) -> None:
        await ack()
        await seen.note(seen.actions, body)
        await respond(text="Stopping", response_type="ephemeral", replace_original=False)

    async def on_other(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=MODAL)

    async def on_pick(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        await seen.note(seen.actions, body)

    async def options(ack: AsyncAck, payload: dict[str, Any]) -> None:
        slugs = [slug for slug in ("acme/web", "acme/billing") if payload["value"] in slug]
        await ack(options=[{"text": {"type": "plain_text", "text": slug}, "value": slug} for slug in slugs])

    async def on_submit(ack: AsyncAck, view: dict[str, Any]) -> None:
        slug = view["state"]["values"]["where"]["slug"]["value"]
        if "/" not in slug:
            await ack(response_action="errors", errors={"where": "owner/name, please"})
            return
        await ack()
        await seen.note(seen.submitted, view)

    async def on_command(ack: AsyncAck, command: dict[str, Any]) -> None:
        await ack(f"you said {command['text']}")

    async def on_shortcut(ack: AsyncAck, shortcut: dict[str, Any]) -> None:
        await ack()
        await seen.note(seen.actions, shortcut)

    app.action("stop")(on_stop)
    app.action("other")(on_other)
    app.action("repository")(on_pick)
    app.options("repository")(options)
    app.view("choose")(on_submit)
    app.command("/bellhop")(on_command)
    app.message_shortcut("send")(on_shortcut)
    return app


@asynccontextmanager
async def over_sockets(slack: SlackEmulator, seen: Seen) -> AsyncIterator[AsyncSocketModeHandler]:
    handler = AsyncSocketModeHandler(
        make_app(slack, seen),
        app_token=slack.app_token,
        web_client=AsyncWebClient(token=slack.bot_token, base_url=slack.api_url),
    )
    await handler.connect_async()  # type: ignore[no-untyped-call]
    await slack.wait_for_connection()
    try:
        yield handler
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


@asynccontextmanager
async def over_http(slack: SlackEmulator, seen: Seen) -> AsyncIterator[HttpDelivery]:
    app = make_app(slack, seen)

    async def handle(request: web.Request) -> web.Response:
        return await to_aiohttp_response(await app.async_dispatch(await to_bolt_request(request)))

    server = web.Application()
    server.router.add_post("/slack/{what}", handle)
    runner = web.AppRunner(server, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}/slack"
    try:
        yield await slack.use_http(f"{address}/events", f"{address}/interactive")
    finally:
        await runner.cleanup()


@pytest.fixture(params=["sockets", "http"])
async def slack(request: pytest.FixtureRequest, seen: Seen) -> AsyncIterator[SlackEmulator]:
    """A workspace with a running app, reached either way."""
    connect = over_sockets if request.param == "sockets" else over_http
    async with SlackEmulator() as running, connect(running, seen):
        yield running


@pytest.fixture
def seen() -> Seen:
    return Seen()


async def test_a_mention_is_two_events_of_one_message(slack: SlackEmulator, seen: Seen) -> None:
    asked = await slack.person("Ada").say(slack.channel("billing"), "fix it")
    await seen.until_events(2)
    assert sorted(event["type"] for event in seen.events) == ["app_mention", "message"]
    assert {(event["channel"], event["ts"]) for event in seen.events} == {(asked.channel.id, asked.ts)}
    assert len(set(seen.event_ids)) == 2


async def test_a_direct_message_is_one_event(slack: SlackEmulator, seen: Seen) -> None:
    await slack.person("Ada").say_directly("hello")
    await seen.until_events(1)
    assert [(event["type"], event["channel_type"]) for event in seen.events] == [("message", "im")]


async def test_reactions_and_their_removal_arrive(slack: SlackEmulator, seen: Seen) -> None:
    ada = slack.person("Ada")
    said = await ada.say_directly("hello")
    await ada.react(said, "+1::skin-tone-3")
    await ada.unreact(said, "+1::skin-tone-3")
    await seen.until_events(3)
    kinds = {(event["type"], event.get("reaction")) for event in seen.events}
    assert kinds > {("reaction_added", "+1::skin-tone-3"), ("reaction_removed", "+1::skin-tone-3")}
    assert said.reactions == {}


async def test_a_repeated_event_keeps_its_id(slack: SlackEmulator, seen: Seen) -> None:
    slack.repeat_events(3)
    await slack.person("Ada").say_directly("hello")
    await seen.until_events(3)
    assert (len(seen.event_ids), len(set(seen.event_ids))) == (3, 1)


async def test_events_can_come_out_of_order(slack: SlackEmulator, seen: Seen) -> None:
    ada = slack.person("Ada")
    async with slack.held_events():
        await ada.say_directly("first")
        await ada.say_directly("second")
        assert slack.deliveries.idle
    await seen.until_events(2)
    sent = [envelope.payload["event"]["text"] for envelope in slack.sent]
    assert sent == ["second", "first"]


async def test_buttons_answer_through_the_response_url(slack: SlackEmulator, seen: Seen) -> None:
    ada = slack.person("Ada")
    card = await post_card(slack, await ada.say(slack.channel("billing"), "fix it", mention_bot=False))
    await ada.press(card, "Stop")
    note = await slack.wait_for_post(card, "Stopping")
    assert (note.ephemeral_for, seen.actions[0]["actions"][0]["value"]) == (ada.id, "s1")
    assert seen.actions[0]["message"]["ts"] == card.ts
    with pytest.raises(AssertionError, match=r"no 'Approve' to press .* Stop \(stop\)"):
        await ada.press(card, "Approve")


async def test_menus_are_searched_and_picked_from(slack: SlackEmulator, seen: Seen) -> None:
    ada = slack.person("Ada")
    card = await post_card(slack, await ada.say(slack.channel("billing"), "fix it", mention_bot=False))
    found = await ada.search(card, "repository", "bill")
    assert [option["value"] for option in found] == ["acme/billing"]
    await ada.pick(card, "repository", "acme/web")
    picked = await seen.until(seen.actions)
    assert picked["actions"][0]["selected_option"]["value"] == "acme/web"


async def test_a_modal_opens_complains_and_closes(slack: SlackEmulator, seen: Seen) -> None:
    ada = slack.person("Ada")
    card = await post_card(slack, await ada.say(slack.channel("billing"), "fix it", mention_bot=False))
    await ada.press(card, "other")
    modal = await slack.wait_for(lambda: ada.modal)
    assert modal is not None
    assert await ada.submit(modal, slug="billing") == {"where": "owner/name, please"}
    assert modal in slack.modals
    assert await ada.submit(modal, slug="acme/billing") == {}
    assert modal not in slack.modals
    assert len(seen.submitted) == 1


async def test_commands_and_shortcuts_reach_the_app(slack: SlackEmulator, seen: Seen) -> None:
    ada = slack.person("Ada")
    room = slack.channel("billing")
    answer = await ada.command(room, "/bellhop", "hello")
    assert answer is not None
    assert answer["text"] == "you said hello"
    said = await ada.say(room, "look at this", mention_bot=False)
    await ada.shortcut(said, "send")
    assert (await seen.until(seen.actions))["message"]["text"] == "look at this"


async def post_card(slack: SlackEmulator, asked: Any) -> Any:
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
    posted = await client.chat_postMessage(
        channel=asked.channel.id, thread_ts=asked.ts, text="Working", blocks=CARD
    )
    return next(m for m in slack.thread(asked) if m.ts == posted["ts"])


async def test_a_dropped_socket_is_reopened_and_nothing_is_lost(seen: Seen) -> None:
    async with SlackEmulator() as slack, over_sockets(slack, seen) as handler:
        ada = slack.person("Ada")
        slack.sockets.drop()
        await ada.say_directly("are you there?")
        await handler.client.connect_to_new_endpoint(force=True)
        await seen.until_events(1)
        assert [event["text"] for event in seen.events] == ["are you there?"]


async def test_slack_may_ask_for_a_new_socket(seen: Seen) -> None:
    async with SlackEmulator() as slack, over_sockets(slack, seen):
        first = len(slack.calls_to("apps.connections.open"))
        await slack.sockets.ask_to_reconnect()
        await slack.wait_for(lambda: len(slack.calls_to("apps.connections.open")) > first)
        await slack.wait_for_connection()
        await slack.person("Ada").say_directly("still there?")
        await seen.until_events(1)
        assert [event["text"] for event in seen.events] == ["still there?"]


async def test_an_envelope_that_is_not_acknowledged_comes_again_and_then_fails_the_test(seen: Seen) -> None:
    with pytest.raises(SlackMisused, match="never acknowledged"):
        await _ignore_an_event(seen)


async def _ignore_an_event(seen: Seen) -> None:
    async with SlackEmulator(ack_seconds=0.05) as slack:
        app = AsyncApp(
            client=AsyncWebClient(token=slack.bot_token, base_url=slack.api_url),
            signing_secret=slack.signing_secret,
            process_before_response=True,
        )
        stuck = asyncio.Event()

        async def never_done(event: dict[str, Any]) -> None:
            await stuck.wait()

        app.event("message")(never_done)
        handler = AsyncSocketModeHandler(
            app,
            app_token=slack.app_token,
            web_client=AsyncWebClient(token=slack.bot_token, base_url=slack.api_url),
        )
        await handler.connect_async()  # type: ignore[no-untyped-call]
        await slack.wait_for_connection()
        await slack.person("Ada").say_directly("hello")
        await slack.wait_for_delivery()
        assert [(e.attempt, e.reason) for e in slack.sent] == [
            (0, ""),
            (1, "timeout"),
            (2, "timeout"),
            (3, "timeout"),
        ]
        stuck.set()
        await handler.close_async()  # type: ignore[no-untyped-call]


async def test_a_forged_signature_is_refused(seen: Seen) -> None:
    async with SlackEmulator() as slack, over_http(slack, seen) as delivery:
        delivery.signing_secret = "guessed"
        with pytest.raises(NotAcknowledged, match="http_error"):
            await slack.person("Mallory").command(slack.channel("billing"), "/bellhop", "hello")


async def test_only_events_the_app_asked_for_and_may_see_are_sent(seen: Seen) -> None:
    async with (
        SlackEmulator(subscriptions={"message.im", "reaction_added"}, bot_scopes={"im:history"}) as slack,
        over_sockets(slack, seen),
    ):
        ada = slack.person("Ada")
        said = await ada.say(slack.channel("billing"), "hello")
        await ada.react(said, "eyes")
        await ada.say_directly("hello")
        await seen.until_events(1)
        with pytest.raises(NotOffered, match="lacks the scope commands"):
            await ada.command(slack.channel("web"), "/bellhop", "hello")
        with pytest.raises(NotOffered):
            await ada.shortcut(said, "send")
        assert [envelope.payload["event"]["type"] for envelope in slack.sent] == ["message"]
