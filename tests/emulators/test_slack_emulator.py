from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.emulators.faults import Dropped, ServerError
from tests.emulators.slack.emulator import SlackEmulator, SlackMisused
from tests.emulators.slack.faults import TooMany, Unanswered
from tests.emulators.slack.people import Upload
from tests.emulators.slack.rate_limits import RateLimiter, RateLimits
from tests.emulators.slack.workspace import BOT_USER_ID


def section(text: str, **fields: object) -> dict[str, object]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **fields}


def button(label: str, **fields: object) -> dict[str, object]:
    return {"type": "button", "text": {"type": "plain_text", "text": label}, **fields}


def actions(*elements: dict[str, object], **fields: object) -> dict[str, object]:
    return {"type": "actions", "elements": list(elements), **fields}


@pytest.fixture
async def slack() -> AsyncIterator[SlackEmulator]:
    async with SlackEmulator() as running:
        yield running


@pytest.fixture
def client(slack: SlackEmulator) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)


async def refused(client: AsyncWebClient, method: str, **args: Any) -> str:
    """The error Slack answers."""
    with pytest.raises(SlackApiError) as caught:
        await client.api_call(method, json=args)
    return str(caught.value.response["error"])


async def test_the_token_says_who_it_is(slack: SlackEmulator, client: AsyncWebClient) -> None:
    answer = await client.auth_test()
    assert (answer["user_id"], answer["ok"]) == (BOT_USER_ID, True)
    assert "chat:write" in answer.headers["x-oauth-scopes"]


async def test_a_post_an_edit_and_a_deletion_are_seen_as_people_see_them(
    slack: SlackEmulator, client: AsyncWebClient
) -> None:
    ada = slack.person("Ada")
    room = slack.channel("billing")
    question = await ada.say(room, "fix the rounding")

    posted = await client.chat_postMessage(
        channel=room.id,
        thread_ts=question.ts,
        text="Working",
        blocks=[
            {"type": "header", "text": {"type": "plain_text", "text": "Fix the rounding"}},
            section(f"for <@{ada.id}> in <https://forge.example/x|billing> &amp; co"),
            actions(button("Stop", action_id="stop", style="danger")),
        ],
        metadata={"event_type": "card", "event_payload": {"key": "1"}},
    )
    _, card = slack.thread(question)

    assert card.shown == "# Fix the rounding\nfor @Ada in billing (https://forge.example/x) & co\n[Stop]"
    assert card.buttons == ["Stop"]
    assert card.metadata == {"event_type": "card", "event_payload": {"key": "1"}}
    await client.chat_update(channel=room.id, ts=posted["ts"], text="Done")
    assert (card.shown, len(card.revisions)) == ("Done", 1)
    await client.chat_delete(channel=room.id, ts=posted["ts"])
    assert slack.posts(question) == []
    late = {"channel": room.id, "ts": posted["ts"], "text": "too late"}
    assert await refused(client, "chat.update", **late) == "message_not_found"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({}, "no_text"),
        ({"text": "x", "blocks": [section("x")] * 51}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x" * 3_001)]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("")]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x", block_id="b" * 256)]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x", block_id="b"), section("y", block_id="b")]}, "invalid_blocks"),
        (
            {"text": "x", "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]},
            "invalid_blocks",
        ),
        ({"text": "x", "blocks": [{"type": "markdown", "text": "x" * 12_001}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x" * 2_500)] * 5}, "msg_blocks_too_long"),
        ({"text": "x", "blocks": [actions(*[button("x")] * 26)]}, "invalid_blocks"),
        ({"text": "x", "blocks": [actions(button("x" * 76))]}, "invalid_blocks"),
        ({"text": "x", "blocks": [actions(button("x", value="v" * 2_001))]}, "invalid_blocks"),
        (
            {"text": "x", "blocks": [actions(button("x", action_id="a"), button("y", action_id="a"))]},
            "invalid_blocks",
        ),
        (
            {
                "text": "x",
                "blocks": [{"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 11}],
            },
            "invalid_blocks",
        ),
        ({"text": "x", "blocks": [{"type": "balloon"}]}, "invalid_blocks"),
        ({"text": "x", "metadata": {"event_type": "card"}}, "invalid_metadata_format"),
        ({"markdown_text": "x" * 12_001}, "msg_too_long"),
        ({"markdown_text": "x", "text": "x"}, "markdown_text_conflict"),
    ],
)
async def test_content_beyond_the_limits_is_refused(
    slack: SlackEmulator, client: AsyncWebClient, content: dict[str, Any], error: str
) -> None:
    room = slack.channel("billing")
    assert await refused(client, "chat.postMessage", channel=room.id, **content) == error
    assert len(slack.take_violations()) == 1


async def test_what_slack_lets_pass_but_people_would_mind_is_a_violation(
    slack: SlackEmulator, client: AsyncWebClient
) -> None:
    room = slack.channel("billing")
    await client.api_call("chat.postMessage", json={"channel": room.id, "blocks": [section("no fallback")]})
    await client.chat_postMessage(channel=room.id, text="<!channel> look")
    assert [violation.split(": ")[1] for violation in slack.take_violations()] == [
        "blocks without a text that notifications can show",
        "the message rings everyone in the channel",
    ]
    slack.channel_messages(room)


async def test_a_missing_scope_is_named(client: AsyncWebClient) -> None:
    async with SlackEmulator(bot_scopes={"chat:write"}) as slack:
        client.base_url = slack.api_url
        with pytest.raises(SlackApiError) as caught:
            await client.conversations_history(channel=slack.channel("secret", kind="group").id)
        assert caught.value.response["needed"] == "groups:history"
        assert caught.value.response["provided"] == "chat:write"
        assert slack.take_violations() == ["conversations.history: missing_scope"]


async def test_reactions_answer_as_slack_does(slack: SlackEmulator, client: AsyncWebClient) -> None:
    slack.custom_emoji("bellhop")
    ada = slack.person("Ada")
    asked = await ada.say(slack.channel("billing"), "hello")
    spot = {"channel": asked.channel.id, "timestamp": asked.ts}

    await client.reactions_add(name="bellhop", **spot)
    assert await refused(client, "reactions.add", name="bellhop", **spot) == "already_reacted"
    assert asked.reacted("bellhop") == ["bellhop"]
    answer = await client.api_call("reactions.get", params=spot)
    assert answer["message"]["reactions"] == [{"name": "bellhop", "users": [BOT_USER_ID], "count": 1}]
    await client.reactions_remove(name="bellhop", **spot)
    assert await refused(client, "reactions.remove", name="bellhop", **spot) == "no_reaction"
    assert slack.violations == []
    assert await refused(client, "reactions.add", name="made_up", **spot) == "invalid_name"
    assert len(slack.take_violations()) == 1
    assert (await client.emoji_list())["emoji"].keys() == {"bellhop"}


async def test_only_what_exists_and_is_ones_own_can_be_changed(
    slack: SlackEmulator, client: AsyncWebClient
) -> None:
    ada = slack.person("Ada")
    said = await ada.say(slack.channel("billing"), "mine")
    closed = slack.channel("elsewhere", with_bot=False)
    change = {"channel": said.channel.id, "ts": said.ts, "text": "yours"}
    assert await refused(client, "chat.update", **change) == "cant_update_message"
    assert await refused(client, "chat.postMessage", channel="C404", text="x") == "channel_not_found"
    assert await refused(client, "chat.postMessage", channel=closed.id, text="x") == "not_in_channel"
    assert await refused(client, "users.info", user="U404") == "user_not_found"
    assert slack.violations == []


async def test_threads_and_history_are_paged(slack: SlackEmulator, client: AsyncWebClient) -> None:
    ada = slack.person("Ada")
    room = slack.channel("billing", topic="money")
    first = await ada.say(room, "one")
    for text in ("two", "three"):
        await ada.say(room, text, thread=first, mention_bot=False)
    last = await ada.say(room, "later", mention_bot=False)

    page = await client.conversations_replies(channel=room.id, ts=first.ts, limit=2)
    rest = await client.conversations_replies(
        channel=room.id, ts=first.ts, limit=2, cursor=page["response_metadata"]["next_cursor"]
    )
    history = await client.conversations_history(channel=room.id)
    newer = await client.conversations_history(channel=room.id, oldest=first.ts)

    assert [m["text"] for m in [*page["messages"], *rest["messages"]]][1:] == ["two", "three"]
    assert [m["ts"] for m in history["messages"]] == [last.ts, first.ts]
    assert [m["text"] for m in newer["messages"]] == ["later"]
    assert (await client.conversations_info(channel=room.id))["channel"]["topic"]["value"] == "money"
    assert await refused(client, "conversations.replies", channel=room.id, ts="1.2") == "thread_not_found"


async def test_people_are_described(slack: SlackEmulator, client: AsyncWebClient) -> None:
    guest = slack.person("Grace", is_restricted=True)
    stranger = slack.person("Linus", is_stranger=True)
    assert (await client.users_info(user=guest.id))["user"]["is_restricted"] is True
    found = (await client.users_info(user=stranger.id))["user"]
    assert (found["is_stranger"], found["team_id"]) == (True, "T0ELSEWHERE")
    assert "email" not in found["profile"]
    described = (await client.users_info(user=guest.id))["user"]["profile"]
    assert described["email"] == "grace@emulated.example"
    direct = (await client.conversations_open(users=guest.id))["channel"]["id"]
    await client.chat_postMessage(channel=direct, text="hello")
    assert [m.shown for m in slack.channel_messages(slack.workspace.channels[direct])] == ["hello"]


async def test_the_bots_channels_are_listed_by_kind(slack: SlackEmulator, client: AsyncWebClient) -> None:
    slack.channel("not for the bot", with_bot=False)
    names = [slack.channel("open").name, slack.channel("closed", kind="group").name]
    assert await refused(client, "users.conversations", types="everything") == "invalid_types"
    assert len(slack.take_violations()) == 1
    first = await client.users_conversations(types="public_channel,private_channel", limit=1)
    cursor = first["response_metadata"]["next_cursor"]
    rest = await client.users_conversations(types="public_channel,private_channel", limit=1, cursor=cursor)
    assert [channel["name"] for channel in [*first["channels"], *rest["channels"]]] == names
    assert rest["response_metadata"]["next_cursor"] == ""


async def test_what_is_said_while_nobody_listens_is_in_the_history(
    slack: SlackEmulator, client: AsyncWebClient
) -> None:
    said = await slack.person("Ada").say(slack.channel("billing"), "anybody?")
    await slack.deliveries.forget()
    await slack.wait_for_delivery()
    assert slack.sent == []
    history = await client.conversations_history(channel=said.channel.id)
    assert [message["ts"] for message in history["messages"]] == [said.ts]


async def test_files_need_a_token(slack: SlackEmulator, client: AsyncWebClient) -> None:
    ada = slack.person("Ada")
    said = await ada.say_directly("see the log", files=[Upload("run.log", b"it broke")])
    info = (await client.files_info(file=said.files[0].id))["file"]
    bearer = {"Authorization": f"Bearer {slack.bot_token}"}
    async with aiohttp.ClientSession() as http:
        async with http.get(info["url_private"], headers=bearer) as answer:
            assert await answer.read() == b"it broke"
        async with http.get(info["url_private"]) as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
    assert len(slack.take_violations()) == 1


async def test_ephemeral_messages_are_for_one(slack: SlackEmulator, client: AsyncWebClient) -> None:
    ada = slack.person("Ada")
    asked = await ada.say(slack.channel("billing"), "hello")
    await client.chat_postEphemeral(channel=asked.channel.id, user=ada.id, thread_ts=asked.ts, text="not you")
    assert [m.ephemeral_for for m in slack.posts(asked)] == [ada.id]
    assert "bellhop (only Ada sees): not you" in slack.transcript()
    replies = await client.conversations_replies(channel=asked.channel.id, ts=asked.ts)
    assert len(replies["messages"]) == 1


def test_posts_go_out_once_a_second_after_a_burst() -> None:
    clock = [100.0]
    limiter = RateLimiter(RateLimits(post_burst=2, burst_per_minute=0), lambda: clock[0])
    assert [limiter.retry_after("chat.postMessage", "C1") for _ in range(3)] == [None, None, 1]
    assert limiter.retry_after("chat.postMessage", "C2") is None
    clock[0] += 1
    assert [limiter.retry_after("chat.postMessage", "C1") for _ in range(2)] == [None, 1]


def test_each_tier_has_its_calls_per_minute() -> None:
    clock = [100.0]
    limiter = RateLimiter(RateLimits(burst_per_minute=0), lambda: clock[0])
    assert [limiter.retry_after("chat.update", "C1") for _ in range(51)] == [None] * 50 + [60]
    assert limiter.retry_after("reactions.add", "C1") is None
    clock[0] += 60
    assert limiter.retry_after("chat.update", "C1") is None


async def test_too_many_posts_get_429(client: AsyncWebClient) -> None:
    async with SlackEmulator(rate_limits=RateLimits(post_every_seconds=60, post_burst=1)) as slack:
        client.base_url = slack.api_url
        room = slack.channel("billing")
        await client.chat_postMessage(channel=room.id, text="one")
        with pytest.raises(SlackApiError) as caught:
            await client.chat_postMessage(channel=room.id, text="two")
        assert (caught.value.response.status_code, caught.value.response["error"]) == (429, "ratelimited")
        assert caught.value.response.headers["Retry-After"] == "60"
        assert [m.shown for m in slack.channel_messages(room)] == ["one"]


async def test_faults_before_and_after_the_effect(slack: SlackEmulator, client: AsyncWebClient) -> None:
    room = slack.channel("billing")
    slack.fail_next(
        "chat.postMessage", TooMany(7), ServerError(503), ServerError(500, committed=True), Dropped()
    )
    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel=room.id, text="limited")
    assert caught.value.response.headers["Retry-After"] == "7"
    for text in ("lost", "made it"):
        with pytest.raises(SlackApiError):
            await client.chat_postMessage(channel=room.id, text=text)
    with pytest.raises(aiohttp.ClientError):
        await AsyncWebClient(
            token=slack.bot_token, base_url=slack.api_url, retry_handlers=[]
        ).chat_postMessage(channel=room.id, text="this too")
    assert [m.shown for m in slack.channel_messages(room)] == ["made it", "this too"]


async def test_an_answer_can_be_withheld_after_the_effect(
    slack: SlackEmulator, client: AsyncWebClient
) -> None:
    room = slack.channel("billing")
    silence = Unanswered()
    slack.fail_next("chat.postMessage", silence)
    posting = asyncio.create_task(client.chat_postMessage(channel=room.id, text="sent"))
    async with asyncio.timeout(60):
        await silence.reached.wait()
        assert [m.shown for m in slack.channel_messages(room)] == ["sent"]
        silence.release()
        assert (await posting)["ok"]


async def test_the_agent_surface_exists_only_where_the_workspace_has_it(client: AsyncWebClient) -> None:
    async with SlackEmulator() as plain:
        client.base_url = plain.api_url
        room = plain.channel("billing")
        status = {"channel_id": room.id, "thread_ts": "1.2", "status": "active"}
        assert await refused(client, "agents.sessions.setStatus", **status) == "unknown_method"
    async with SlackEmulator(agent_surface=True) as slack:
        client.base_url = slack.api_url
        ada = slack.person("Ada")
        asked = await ada.say(slack.channel("billing"), "hello")
        begun: dict[str, Any] = {"channel": asked.channel.id, "thread_ts": asked.ts, "markdown_text": "One,"}
        assert await refused(client, "chat.startStream", **begun) == "missing_recipient_user_id"
        recipient: dict[str, Any] = {"recipient_user_id": ada.id, "recipient_team_id": "T0HOME"}
        stream = await client.chat_startStream(**begun, **recipient)
        changed = {"channel": asked.channel.id, "ts": stream["ts"], "text": "three"}
        assert await refused(client, "chat.update", **changed) == "streaming_state_conflict"
        await client.chat_appendStream(channel=asked.channel.id, ts=stream["ts"], markdown_text=" two.")
        await client.chat_stopStream(channel=asked.channel.id, ts=stream["ts"])
        assert [m.shown for m in slack.posts(asked)] == ["One, two."]
        again = {"channel": asked.channel.id, "ts": stream["ts"], "markdown_text": "more"}
        assert await refused(client, "chat.appendStream", **again) == "message_not_in_streaming_state"
        working = {"channel_id": asked.channel.id, "thread_ts": asked.ts, "status": "working"}
        assert await refused(client, "agents.sessions.setStatus", **working) == "invalid_arguments"
        assert len(slack.take_violations()) == 2


async def test_an_unread_message_fails_the_test() -> None:
    with pytest.raises(SlackMisused, match="nobody read:\nhello"):
        await _say_hello(SlackEmulator())
    await _say_hello(SlackEmulator(allow_unread=True))


async def _say_hello(slack: SlackEmulator) -> None:
    async with slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        await client.chat_postMessage(channel=slack.channel("billing").id, text="hello")


async def test_a_broken_rule_fails_the_test_even_if_the_app_hides_it() -> None:
    with pytest.raises(SlackMisused, match="not_authed"):
        await _call_without_token()


async def _call_without_token() -> None:
    async with (
        SlackEmulator() as slack,
        aiohttp.ClientSession() as http,
        http.post(f"{slack.api_url}chat.postMessage", json={"text": "x"}) as answer,
    ):
        assert (await answer.json())["error"] == "not_authed"


async def test_waiting_in_vain_says_what_was_there(slack: SlackEmulator) -> None:
    await slack.person("Ada").say(slack.channel("billing"), "is anybody there?", mention_bot=False)
    with pytest.raises(TimeoutError, match=r"#billing Ada: is anybody there\?"):
        await slack.wait_for(lambda: False, timeout_seconds=0.05)
