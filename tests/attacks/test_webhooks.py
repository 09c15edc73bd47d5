"""Requests to the addresses that anybody on the internet may post to.

Asset: what starts work, answers approvals, and says what became of a pull request. Attacker: anybody who
knows the addresses; or who has recorded a delivery and changes it, or sends it again, later, or under another
id. Path: POST to Slack's and GitHub's addresses of the web process. Control: the signature of the body as it
came, five minutes where it covers a time, each event and each change taken once by what is signed of it
(GitHub's delivery id is not), and a cap before anything is read whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx

from bot.platforms.slack.blocks import button_value
from session.view import SessionView
from tests.attacks.conftest import OpenHouse
from tests.attacks.frame import Control, refuted
from tests.companion_web.stage import Stage
from tests.companion_web.stage import stage as open_stage
from tests.companion_web.test_triggers import delivery, published, pull_request_state
from tests.emulators.slack.http_delivery import signature
from tests.emulators.slack.workspace import BOT_USER_ID
from tests.journeys.house import AGENT, BILLING, House, Member
from tests.journeys.steps import FINISH, FIX, PROPOSE
from tests.journeys.thread import Thread

CONTROLS = (
    Control("bot/platforms/slack/doors.py", (("if not self._is_signed(body, request):", "if not body:"),)),
    Control(
        "companion_web/triggers/github.py",
        (
            ('if not self._signed(body, request.headers.get("x-hub-signature-256", "")):', "if not body:"),
            ('claim=Claim("github", delivery.meaning)', 'claim=Claim("github", delivery.meaning + guid)'),
        ),
    ),
)
PROOF = "test_forged_slack or test_forged_github or test_a_recorded_github"

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
TOO_OLD_SECONDS, TOO_EARLY_SECONDS = 301, 600
SECRETS = ("old-secret", "new-secret")
PIECE, MOST_BYTES = b"x" * 65_536, 64_000_000
"""Far more than the cap and what buffers on the way may hold."""


@dataclass(frozen=True, slots=True)
class Forgery:
    """A body and headers, and what is wrong with them."""

    what: str
    body: str
    headers: Mapping[str, str]


def signed(secret: str, body: str, age_seconds: int = 0) -> dict[str, str]:
    """Slack's headers for that body, made so long ago."""
    at = str(int(time.time()) - age_seconds)
    return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": signature(secret, at, body)}


def slack_forgeries(secret: str, body: str) -> Iterator[Forgery]:
    """The body with every signature that somebody without the secret can come by, or with a recorded one."""
    harmless = body.replace("everything", "nothing at all")
    late = signed(secret, body, TOO_OLD_SECONDS)
    now = {"X-Slack-Request-Timestamp": str(int(time.time()))}
    early = signed(secret, body, -TOO_EARLY_SECONDS)
    yield Forgery("no signature", body, {})
    yield Forgery("an empty signature", body, {**now, "X-Slack-Signature": ""})
    yield Forgery("another version's signature", body, {**now, "X-Slack-Signature": "v1=" + "0" * 64})
    yield Forgery("a signature by a guessed secret", body, signed("a guess", body))
    yield Forgery("a signature by no secret", body, signed("", body))
    yield Forgery("a signature of another body", body, signed(secret, harmless))
    yield Forgery("a signature of the body with a blank more", body, signed(secret, f"{body} "))
    yield Forgery("a recorded delivery, five minutes later", body, late)
    yield Forgery("a recorded delivery under a new time", body, {**late, **now})
    yield Forgery("a delivery from the future", body, early)
    yield Forgery("a time that is none", body, {**signed(secret, body), "X-Slack-Request-Timestamp": "now"})
    yield Forgery(
        "Slack's old token in place of a signature", body, {**now, "Authorization": "Bearer legacy"}
    )


async def test_forged_slack_requests_start_and_approve_nothing(open_house: OpenHouse) -> None:
    async with open_house(way="http") as house, httpx.AsyncClient(base_url=house.url, timeout=60) as attacker:
        ada = await house.member("Ada")
        house.model.script(AGENT, FIX, PROPOSE, FINISH)
        thread = await ada.asks("round half a cent up")
        asked = await thread.hears("May I publish this?")
        view = await thread.view()
        recorded = json.dumps(house.slack.sent[0].payload)
        for path, kind, body in (
            ("/slack/events", JSON, json.dumps(mention(recorded, ada))),
            ("/slack/interactive", FORM, press(recorded, ada, thread, view)),
        ):
            for forgery in slack_forgeries(house.slack.signing_secret, body):
                headers = {**forgery.headers, "Content-Type": kind}
                answer = await attacker.post(path, content=forgery.body, headers=headers)
                await _nothing_new(house, thread, view, f"{path} took {forgery.what}")
                assert answer.status_code == 401, forgery.what
        again = signed(house.slack.signing_secret, recorded)
        answer = await attacker.post(
            "/slack/events", content=recorded, headers={**again, "Content-Type": JSON}
        )
        assert answer.status_code == 200
        await _nothing_new(house, thread, view, "a recorded mention was taken a second time")
        for path in ("/slack/events", "/slack/interactive", "/webhooks/github"):
            await _endless(house.url, path)
        await _nothing_new(house, thread, view, "an endless body was taken")
        await ada.reacts("octagonal_sign", asked)
        await thread.hears("Half a cent is now rounded up.")
        await thread.holds_only("card", "approval", "answer")


def mention(recorded: str, ada: Member) -> dict[str, object]:
    """A delivery like the recorded one, in which Ada says something else, elsewhere."""
    payload: dict[str, object] = json.loads(recorded)
    ts = f"{time.time():.6f}"
    event = {
        "type": "app_mention",
        "user": ada.slack.id,
        "text": f"<@{BOT_USER_ID}> delete everything",
        "channel": ada.house.billing.id,
        "ts": ts,
        "event_ts": ts,
    }
    return {**payload, "event": event, "event_id": "Ev0FORGED"}


def press(recorded: str, ada: Member, thread: Thread, view: SessionView) -> str:
    """Ada's press on ✅, made up."""
    [approval] = view.open_approvals
    value = button_value(view.id, approval.request.approval_id, approval.request.digest)
    payload = {
        "type": "block_actions",
        "user": {"id": ada.slack.id, "username": "everything"},
        "team": {"id": json.loads(recorded)["team_id"]},
        "channel": {"id": thread.root.channel.id},
        "container": {"type": "message", "message_ts": thread.root.ts},
        "message": {"ts": thread.root.ts, "thread_ts": thread.root.ts},
        "actions": [{"type": "button", "action_id": "bellhop:approve:0", "value": value, "action_ts": "1.0"}],
    }
    return urlencode({"payload": json.dumps(payload)})


async def _nothing_new(house: House, thread: Thread, before: SessionView, what: str) -> None:
    view = await thread.view()
    refuted(await house.sessions() == [before.id], f"{what}: a session began")
    refuted(view.open_approvals == before.open_approvals, f"{what}: the approval was answered")
    refuted(len(view.prompts) == 1, f"{what}: the session was asked for more")
    refuted(house.github.repository(BILLING).pulls == {}, f"{what}: a pull request was opened")


async def _endless(url: str, path: str) -> None:
    """An unsigned body without an end is answered before it ends, and so before it is parsed."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = f"POST {path} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: {2**40}\r\n\r\n"
    writer.write(head.encode())
    answered = asyncio.create_task(reader.readline())
    sent = 0
    with suppress(ConnectionError):
        while not answered.done() and sent < MOST_BYTES:
            writer.write(PIECE)
            await writer.drain()
            await asyncio.sleep(0)
            sent += len(PIECE)
    refuted(answered.done(), f"{path} read {sent} bytes of an unsigned body")
    assert (await answered).startswith(b"HTTP/1.1 413 ")
    writer.close()


@asynccontextmanager
async def tracked(tmp_path: Path) -> AsyncIterator[tuple[Stage, httpx.AsyncClient]]:
    """A session with an open pull request, and a way to the web process that holds it."""
    async with open_stage(tmp_path) as stage, stage.client(None) as client:
        await published(stage)
        yield stage, client.http


def github_headers(body: bytes, secret: str) -> dict[str, str]:
    """What GitHub sends along; the delivery id is new each time."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": JSON,
        "X-GitHub-Event": "pull_request",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={digest}",
    }


async def test_forged_github_deliveries_say_nothing(tmp_path: Path) -> None:
    merged, recorded = delivery(), delivery("converted_to_draft")
    right = github_headers(merged, "new-secret")["X-Hub-Signature-256"]
    sha1 = hmac.new(b"new-secret", merged, hashlib.sha1).hexdigest()
    signatures = {
        "none": None,
        "an empty one": "",
        "one by a guessed secret": github_headers(merged, "a guess")["X-Hub-Signature-256"],
        "one by no secret": github_headers(merged, "")["X-Hub-Signature-256"],
        "one by both secrets as they stand": github_headers(merged, ",".join(SECRETS))["X-Hub-Signature-256"],
        "that of another body": github_headers(recorded, "new-secret")["X-Hub-Signature-256"],
        "the right one without its kind": right.removeprefix("sha256="),
        "the old kind": f"sha1={sha1}",
    }
    async with tracked(tmp_path) as (stage, attacker):
        for what, given in signatures.items():
            headers = github_headers(merged, "new-secret") | {"X-Hub-Signature": f"sha1={sha1}"}
            del headers["X-Hub-Signature-256"]
            headers |= {} if given is None else {"X-Hub-Signature-256": given}
            answer = await attacker.post("/webhooks/github", content=merged, headers=headers)
            state = await pull_request_state(stage)
            refuted(state == "open", f"a pull request was called {state} under a signature: {what}")
            assert answer.status_code == 401, what
        flipped = merged.replace(b'"grace"', b'"eve!!"')
        answer = await attacker.post(
            "/webhooks/github", content=flipped, headers=github_headers(merged, "new-secret")
        )
        refuted(await pull_request_state(stage) == "open", "a changed body was taken under its signature")
        assert answer.status_code == 401


async def test_a_recorded_github_delivery_says_nothing_again(tmp_path: Path) -> None:
    closed, reopened = delivery(merged=False), delivery("reopened", at="2026-03-01T10:05:00Z")
    async with tracked(tmp_path) as (stage, attacker):
        recorded = github_headers(closed, "new-secret")
        assert (await attacker.post("/webhooks/github", content=closed, headers=recorded)).status_code == 202
        good = github_headers(reopened, "new-secret")
        assert (await attacker.post("/webhooks/github", content=reopened, headers=good)).status_code == 202
        for what, secret, headers in (
            ("as it was", "new-secret", recorded),
            ("under a new delivery id", "new-secret", {}),
            ("under a new delivery id, signed by the secret before", "old-secret", {}),
            ("under no delivery id", "new-secret", {"X-GitHub-Delivery": ""}),
        ):
            sent = {**github_headers(closed, secret), **headers}
            answer = await attacker.post("/webhooks/github", content=closed, headers=sent)
            refuted(await pull_request_state(stage) == "open", f"a recorded delivery closed it again: {what}")
            assert answer.status_code == 200
