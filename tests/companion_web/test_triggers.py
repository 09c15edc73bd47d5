"""GitHub's webhook: signed, capped, and each change taken once."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid

import httpx
import pytest

from companion_web import triggers
from companion_web.triggers.github import MAX_BODY_BYTES
from session.settings import Settings
from tests.companion_web import story
from tests.companion_web.stage import Browserlike, Stage
from tests.companion_web.stage import stage as open_stage


def delivery(action: str = "closed", *, merged: bool = True, at: str = "2026-03-01T10:00:00Z") -> bytes:
    state = "closed" if action == "closed" else "open"
    return json.dumps(
        {
            "action": action,
            "number": 482,
            "pull_request": {
                "number": 482,
                "state": state,
                "merged": merged and state == "closed",
                "draft": action == "converted_to_draft",
                "updated_at": at,
                "title": "Keep the country of a locale",
            },
            "repository": {"full_name": story.SLUG},
            "sender": {"login": "grace"},
        }
    ).encode()


async def send(
    client: Browserlike, body: bytes, secret: str = "new-secret", event: str = "pull_request", **headers: str
) -> httpx.Response:
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return await client.http.post(
        "/webhooks/github",
        content=body,
        headers={
            "X-Hub-Signature-256": signature,
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": str(uuid.uuid4()),
            "Content-Type": "application/json",
            **headers,
        },
    )


async def published(stage: Stage) -> None:
    await stage.session(
        "k3f9", [*story.opening(), *story.start(), *story.work(), *story.finish(), *story.ending()]
    )


async def pull_request_state(stage: Stage) -> str:
    pull_request = (await stage.log.view("k3f9")).pull_request
    assert pull_request is not None
    return pull_request.state


@pytest.mark.parametrize(
    ("body", "state"),
    [
        (delivery(), "merged"),
        (delivery(merged=False), "closed"),
        (delivery("converted_to_draft"), "draft"),
    ],
)
async def test_a_pull_requests_state_is_recorded(stage: Stage, body: bytes, state: str) -> None:
    await published(stage)
    async with stage.client(None) as client:
        assert (await send(client, body)).status_code == 202
    assert await pull_request_state(stage) == state


async def test_closed_and_reopened(stage: Stage) -> None:
    await published(stage)
    async with stage.client(None) as client:
        await send(client, delivery(merged=False))
        await send(client, delivery("reopened", at="2026-03-01T10:05:00Z"))
    assert await pull_request_state(stage) == "open"


async def test_the_same_body_under_a_new_delivery_id_starts_nothing(stage: Stage) -> None:
    await published(stage)
    async with stage.client(None) as client:
        closed = delivery(merged=False)
        await send(client, closed)
        await send(client, delivery("reopened", at="2026-03-01T10:05:00Z"))
        before = (await stage.log.view("k3f9")).seq
        again = await send(client, closed)
    assert again.status_code == 200
    assert (await stage.log.view("k3f9")).seq == before
    assert await pull_request_state(stage) == "open"


@pytest.mark.parametrize("secret", ["old-secret", "new-secret"])
async def test_both_secrets_hold_while_one_is_replaced(stage: Stage, secret: str) -> None:
    await published(stage)
    async with stage.client(None) as client:
        assert (await send(client, delivery(), secret)).status_code == 202


async def test_a_bad_signature_is_refused(stage: Stage) -> None:
    await published(stage)
    async with stage.client(None) as client:
        wrong = await send(client, delivery(), "a guess")
        joined = await send(client, delivery(), "old-secret,new-secret")
        empty = await send(client, delivery(), **{"X-Hub-Signature-256": ""})
        sha1 = await send(client, delivery(), **{"X-Hub-Signature-256": "sha1=00"})
        signature = hmac.new(b"new-secret", delivery(), hashlib.sha256).hexdigest()
        flipped = await send(client, delivery(merged=False), **{"X-Hub-Signature-256": f"sha256={signature}"})
    assert {answer.status_code for answer in (wrong, joined, empty, sha1, flipped)} == {401}
    assert await pull_request_state(stage) == "open"


async def test_large_bodies_are_not_read(stage: Stage) -> None:
    async with stage.client(None) as client:
        assert (await send(client, b"x" * (MAX_BODY_BYTES + 1))).status_code == 413


async def test_what_is_not_ours_is_answered_and_left(stage: Stage) -> None:
    async with stage.client(None) as client:
        unknown = await send(client, delivery())
        other = await send(client, b"{}", event="ping")
        labelled = await send(client, delivery("labeled"))
        broken = await send(client, b"{}")
    assert [answer.status_code for answer in (unknown, other, labelled, broken)] == [200, 200, 200, 400]


async def test_without_a_secret_there_is_no_webhook(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with (
        open_stage(tmp_path_factory.mktemp("unset"), {"GITHUB_WEBHOOK_SECRET": ""}) as unset,
        unset.client(None) as client,
    ):
        assert (await send(client, delivery())).status_code in (404, 405)


async def test_triggers_are_found_by_their_module(stage: Stage) -> None:
    assert [trigger.SOURCE for trigger in triggers.discover()] == ["github"]
    assert triggers.routes(Settings.load({}), stage.commands) == []
