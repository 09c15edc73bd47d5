"""What the pages show, to whom, and how heavy they are."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace

import pytest

from session import events as e
from session.artifacts import Artifact, Artifacts
from session.database import Database
from tests.companion_web import story
from tests.companion_web.payloads import XSS
from tests.companion_web.stage import Stage
from tests.companion_web.test_sign_in import application

FIRST_VIEW_BYTES = 150 * 1024


async def tell(stage: Stage, session_id: str = "k3f9") -> None:
    await stage.session(session_id, [*story.opening(), *story.start(), *story.work()])
    diff = await stage.artifacts.put(
        session_id, "diff", "changes.json", "application/json", story.PATCHES.encode()
    )
    await stage.append(session_id, diff, *story.finish(diff.artifact_id))


@pytest.mark.parametrize(
    "path",
    ["/", "/s/k3f9", "/s/k3f9/changes", "/s/k3f9/checks", "/s/k3f9/log", "/s/k3f9/calls/9", "/account", "/x"],
)
async def test_strangers_are_led_to_sign_in_and_back(stage: Stage, path: str) -> None:
    async with stage.client(None) as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={path}")


@pytest.mark.parametrize("path", ["/s/k3f9/events", "/api/v1/sessions", "/api/v1/sessions/k3f9"])
async def test_strangers_get_no_data(stage: Stage, path: str) -> None:
    await tell(stage)
    async with stage.client(None) as client:
        answer = await client.get(path)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_session_page_tells_the_whole_state(stage: Stage) -> None:
    await tell(stage)
    async with stage.client(await stage.person("Ada")) as client:
        text = (await client.get("/s/k3f9")).text
    for said in (
        "Fix the decimal separator of CHF invoices",
        "acme/billing",
        "gpt-5.1-codex",
        "Needs approval",
        "A container of its own",
        ": no network, no privileges<",
        "$0.069",
        "running the tests in billing",
        "Write a failing test for de_CH",
        "Checks passed",
        "+21",
        'formaction="/s/k3f9/approvals/a1/approve"',
        'formaction="/s/k3f9/stop"',
        "invoice.pdf",
    ):
        assert said in text


async def test_a_calls_output_is_read_when_asked_for(stage: Stage) -> None:
    await tell(stage)
    async with stage.client(await stage.person("Ada")) as client:
        first = (await client.get("/s/k3f9")).text
        address = first.split('data-load="')[3].split('"')[0]
        whole = await client.get(address)
        fragment = await client.http.get(address, headers={"Sec-Fetch-Dest": "empty"})
    assert "1 failed, 11 passed" not in first
    assert "pytest -q tests/test_money.py" in whole.text
    assert '<span class="f1">FAILED</span>' in whole.text
    assert "<html" in whole.text
    assert fragment.text.strip().startswith('<div class="call-body">')


async def test_changes_checks_artifacts_and_log_have_pages(stage: Stage) -> None:
    await tell(stage)
    async with stage.client(await stage.person("Ada")) as client:
        changes = (await client.get("/s/k3f9/changes")).text
        checks = (await client.get("/s/k3f9/checks")).text
        artifacts = (await client.get("/s/k3f9/artifacts")).text
        log = (await client.get("/s/k3f9/log")).text
    assert "README → README.md" in changes
    assert '<span class="tk">def</span>' in changes
    assert "ruff check ." in checks
    assert "changes.json" in artifacts
    assert "ApprovalRequested" in log


class HeldArtifacts(Artifacts):
    """Artifacts that are read at once, and given when the test says so."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.looked, self.go_on = asyncio.Event(), asyncio.Event()

    async def get(self, session_id: str, artifact_id: str) -> Artifact | None:
        found = await super().get(session_id, artifact_id)
        self.looked.set()
        await self.go_on.wait()
        return found


async def test_a_diff_that_is_out_of_date_before_it_is_shown_is_not_shown_as_the_newest(stage: Stage) -> None:
    await tell(stage)
    shown = (await stage.log.view("k3f9")).seq
    async with await Database.open(stage.settings.database_address) as database:
        held = HeldArtifacts(database)
        beside = replace(stage, artifacts=held)
        beside.app = application(beside, stage.settings.secret_key)
        async with beside.client(await stage.person("Ada")) as client:
            asking = asyncio.create_task(client.get("/s/k3f9/changes"))
            await held.looked.wait()
            await stage.append("k3f9", *story.ending())
            assert "Keep the country" in (await client.get("/s/k3f9")).text, "the room has gone on"
            held.go_on.set()
            page = (await asking).text
    assert f'data-seq="{shown}"' in page, "the stream brings what came after the diff"


async def test_the_log_pages_through_long_sessions(stage: Stage) -> None:
    await stage.session("long", [*story.opening(), *story.start(), *[story.plan(0)] * 300])
    async with stage.client(await stage.person("Ada")) as client:
        newest = (await client.get("/s/long/log")).text
        older = (await client.get("/s/long/log?after=0")).text
    assert "SessionOpened" not in newest
    assert "/s/long/log?after=0" in newest
    assert "SessionOpened" in older
    assert "/s/long/log?after=105" in older


@pytest.mark.parametrize(
    ("media_type", "sent", "disposition"),
    [
        ("image/png", "image/png", "inline"),
        ("text/html", "text/plain; charset=utf-8", "inline"),
        ("image/svg+xml", "application/octet-stream", "attachment"),
        ("application/pdf", "application/octet-stream", "attachment"),
    ],
)
async def test_artifacts_can_only_be_looked_at(
    stage: Stage, media_type: str, sent: str, disposition: str
) -> None:
    await stage.session("k3f9", story.opening())
    kept = await stage.artifacts.put("k3f9", "file", 'odd "name"\r\n.html', media_type, b"<script>1</script>")
    async with stage.client(await stage.person("Ada")) as client:
        answer = await client.get(f"/s/k3f9/artifacts/{kept.artifact_id}")
        elsewhere = await client.get(f"/s/other/artifacts/{kept.artifact_id}")
    assert answer.headers["content-type"] == sent
    assert answer.headers["content-disposition"].startswith(disposition)
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert elsewhere.status_code == 404


@pytest.mark.parametrize(
    "path", ["/s/none", "/s/none/changes", "/s/none/events", "/s/k3f9/calls/999", "/odd"]
)
async def test_what_is_not_there_is_said_to_be_missing(stage: Stage, path: str) -> None:
    await tell(stage)
    async with stage.client(await stage.person("Ada")) as client:
        assert (await client.get(path)).status_code == 404


async def test_the_first_view_of_500_events_is_light(stage: Stage) -> None:
    events = [*story.opening(), *story.start()]
    while len(events) < 500:
        events += story.call(f"c{len(events)}", "shell", "running the tests in `billing`", "{}", "x" * 20_000)
        events.append(e.ModelReplied(turn_id="t1", text=story.REPLY, model="m"))
    await stage.session("big", events[:500])
    async with stage.client(await stage.person("Ada")) as client:
        answer = await client.get("/s/big")
        files = [await client.get(f"/static/{name}") for name in ("bellhop.css", "session.js", "times.js")]
    assert answer.headers["content-encoding"] == "gzip"
    transferred = sum(len(gzip.compress(part.content, 5)) for part in (answer, *files))
    assert transferred < FIRST_VIEW_BYTES


async def test_very_long_timelines_begin_with_their_end(stage: Stage) -> None:
    calls = [event for n in range(400) for event in story.call(f"c{n}", "shell", f"step number {n}.")]
    await stage.session("huge", [*story.opening(), *story.start(), *calls])
    async with stage.client(await stage.person("Ada")) as client:
        text = (await client.get("/s/huge")).text
        everything = (await client.get("/s/huge?all=1")).text
    assert "step number 399." in text
    assert "step number 1." not in text
    assert "Show 104 earlier steps" in text
    assert "step number 1." in everything


async def test_hostile_text_is_escaped_in_every_place(stage: Stage) -> None:
    for number, payload in enumerate(XSS):
        session_id = f"x{number}"
        await stage.session(session_id, [*story.opening(payload, payload or "t"), *story.start()])
        await stage.append(
            session_id,
            e.ModelReplied(turn_id="t1", text=payload, model=payload),
            e.PlanChanged(items=(e.PlanItem(text=payload),)),
            e.ToolCalled(turn_id="t1", call_id=payload, tool=payload, action=payload),
            story.approval().model_copy(update={"title": payload, "detail": payload}),
        )
        async with stage.client(await stage.person("Ada")) as client:
            text = (await client.get(f"/s/{session_id}")).text
            rows = (await client.get("/?rows=1")).text
        for page in (text, rows):
            assert "<script>window" not in page
            assert "<img src=x" not in page
            assert 'javascript:window.pwned=1"' not in page


async def test_every_answer_carries_the_policies(stage: Stage) -> None:
    async with stage.client(await stage.person("Ada")) as client:
        answers = [await client.get(path) for path in ("/", "/healthz", "/nothing", "/static/bell.svg")]
    nonces = set()
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'nonce-")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        nonces.add(policy)
    assert len(nonces) == len(answers), "every answer has a nonce of its own"


async def test_the_list_filters(stage: Stage) -> None:
    ada = await stage.person("Ada")
    await stage.session("one", [*story.opening(title="Alpha"), *story.start()])
    await stage.session("two", [*story.opening(title="Beta"), e.RepositoryAsked(reason="?", candidates=())])
    async with stage.client(ada) as client:
        everything = (await client.get("/")).text
        waiting = (await client.get("/?state=waiting")).text
        billing = (await client.get("/?repository=acme/billing")).text
        beta = (await client.get("/?text=beta&rows=1")).text
        mine = (await client.get("/?person=me")).text
        odd = await client.get("/?state=nonsense&before=yesterday")
    assert "Alpha" in everything
    assert "Beta" in everything
    assert "Alpha" not in waiting
    assert "Beta" not in billing
    assert "Alpha" not in beta
    assert "<html" not in beta
    assert "Nothing fits" in mine
    assert odd.status_code == 200


async def test_health_says_what_is_down(stage: Stage) -> None:
    async with stage.client(None) as client:
        fine = await client.get("/healthz")
        stage.health["engine"] = "no engine answers"
        degraded = await client.get("/healthz")
        stage.health["database"] = "the disk is full"
        down = await client.get("/healthz")
    assert (fine.status_code, fine.json()["status"]) == (200, "ok")
    assert (degraded.status_code, degraded.json()["status"]) == (200, "degraded")
    assert degraded.json()["parts"]["engine"] == {"ok": False, "detail": "no engine answers"}
    assert (down.status_code, down.json()["status"]) == (503, "down")


async def test_addresses_of_the_local_forge_lead_to_the_changes(stage: Stage) -> None:
    await tell(stage)
    opened = e.PullRequestOpened(
        number=7,
        url="",
        branch="bellhop/k3f9/x",
        base="main",
        head_sha="a" * 40,
        title="",
        draft=False,
        author="ada",
    )
    published = e.BranchPublished(branch="bellhop/k3f9/x", head_sha="a" * 40, compare_url="")
    await stage.append("k3f9", published, opened)
    async with stage.client(await stage.person("Ada")) as client:
        for path in ("/forge/acme/billing/pull/7", "/forge/acme/billing/compare/main...bellhop/k3f9/x"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/s/k3f9/changes")
        for path in ("/forge/acme/billing/pull/8", "/forge/acme/web/compare/main...bellhop/k3f9/x"):
            assert (await client.get(path)).status_code == 404


async def test_what_governance_asks_and_notes_can_be_read_and_answered(stage: Stage) -> None:
    await stage.session("g", [*story.opening(), *story.start(), *story.governed()])
    async with stage.client(await stage.person("Grace")) as client:
        page = (await client.get("/s/g")).text
        for words in (
            ". Secrets in it:",
            "postgres, redis</span>",
            ". Ready for work after 4.2 s, of which tools waited 1.3 s<",
            "PAYMENT_SANDBOX_KEY, SMTP_PASSWORD",
            "Read what others can write: docs.example.com",
            "80 % of this session&#39;s money is used",
            "Broker:</b> it does not answer",
            "Broker answers again",
            "GET api.example.com:443",
            "Approving allows it for this session only.",
            "Approving allows exactly this, once.",
            "Approving grants as much again.",
            "<li>Keep the locale</li>",
            "Approving covers these steps; new or reworded ones are asked about again.",
        ):
            assert words in page
        yes = await client.post("/s/g/approvals/g1/approve", page="/s/g", digest="g1" * 20)
        no = await client.post("/s/g/approvals/g2/refuse", page="/s/g")
        assert (yes.status_code, no.status_code) == (303, 303)
        await client.post("/s/g/approvals/g4/approve", page="/s/g", digest="g4" * 20)
        await stage.append("g", e.ApprovalUsed(approval_id="g1"), e.ApprovalUsed(approval_id="g4"))
        page = (await client.get("/s/g")).text
        assert page.count("✓ Approved by Grace, done<") == page.count("✓ Approved by Grace<") == 1
    view = await stage.log.view("g")
    assert [item.state for item in view.approvals] == ["used", "refused", "open", "used"]
