"""Forms become commands, for those who may, from our own pages only."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from session import events as e
from session.each_repository import EACH, OLD_QUESTION, together_digest, what_each_means
from session.listing import SessionFilter
from session.people import Person
from session.queue import Queue
from tests.companion_web import story
from tests.companion_web.stage import Browserlike, Stage
from tests.companion_web.stage import stage as open_stage


async def waiting_for_approval(stage: Stage) -> None:
    await stage.session("k3f9", [*story.opening(), *story.start(), *story.work(), *story.finish()])


async def last(stage: Stage, session_id: str = "k3f9") -> e.Event:
    events = [record.event for record in await stage.log.read(session_id)]
    return next(event for event in reversed(events) if not isinstance(event, e.PartDegraded))


async def test_the_box_opens_a_session(stage: Stage) -> None:
    async with stage.client(await stage.person("Ada")) as client:
        answer = await client.post("/sessions", text="Fix the footer", repository="acme/web")
        assert answer.status_code == 303
        page = (await client.get(answer.headers["location"])).text
    view = await stage.log.view(answer.headers["location"].removeprefix("/s/"))
    assert view.prompts[0].prompt.text == "Fix the footer"
    assert view.prompts[0].prompt.repository == "acme/web"
    assert view.origin.platform == "web"
    assert "Fix the footer" in page


async def test_an_unknown_repository_is_refused_with_its_sentence(stage: Stage) -> None:
    async with stage.client(await stage.person("Ada")) as client:
        answer = await client.post("/sessions", text="Fix it", repository="acme/webb")
    assert answer.status_code == 404
    assert "Did you mean acme/web?" in answer.text


async def test_a_follow_up_waits_in_line_and_can_be_changed(stage: Stage) -> None:
    await stage.session("k3f9", [*story.opening(), *story.start()])
    async with stage.client(await stage.person("Ada")) as client:
        assert (await client.post("/s/k3f9/prompts", text="Also the footer")).status_code == 303
        prompt = (await stage.log.view("k3f9")).waiting_prompts[0].prompt
        path = f"/s/k3f9/prompts/{prompt.id}"
        assert "Also the footer" in (await client.get("/s/k3f9")).text
        await client.post(f"{path}/edit", **{f"text-{prompt.id}": "Also the header"})
        assert (await stage.log.view("k3f9")).waiting_prompts[0].prompt.text == "Also the header"
        await client.post(f"{path}/steer")
        assert (await stage.log.view("k3f9")).waiting_prompts[0].prompt.steer
        await client.post(f"{path}/cancel")
    assert (await stage.log.view("k3f9")).waiting_prompts == ()


async def test_approving_counts_for_what_the_page_showed(stage: Stage) -> None:
    await waiting_for_approval(stage)
    async with stage.client(await stage.person("Grace")) as client:
        stale = await client.post("/s/k3f9/approvals/a1/approve", digest="0" * 64)
        without = await client.post("/s/k3f9/approvals/a1/approve")
        assert without.status_code == 409
        assert stale.status_code == 409
    view = await stage.log.view("k3f9")
    assert all(approval.state not in ("given", "used") for approval in view.approvals)


async def test_approving_and_taking_it_back(stage: Stage) -> None:
    await waiting_for_approval(stage)
    grace = await stage.person("Grace")
    async with stage.client(grace) as client:
        assert (await client.post("/s/k3f9/approvals/a1/approve", digest="d" * 64)).status_code == 303
        given = await last(stage)
        assert isinstance(given, e.ApprovalGiven)
        assert given.by.id == grace.id
        assert "Approved by Grace" in (await client.get("/s/k3f9")).text
        await client.post("/s/k3f9/approvals/a1/withdraw")
        assert isinstance(await last(stage), e.ApprovalWithdrawn)
        await client.post("/s/k3f9/approvals/a1/refuse")
    assert isinstance(await last(stage), e.ApprovalRefused)


async def test_who_may_not_approve_is_told_why_on_the_page(stage: Stage) -> None:
    await waiting_for_approval(stage)
    async with stage.client(await stage.person("Linus", "viewer")) as client:
        answer = await client.post("/s/k3f9/approvals/a1/approve", digest="d" * 64)
        asked = await client.post("/s/k3f9/prompts", text="words worth keeping")
    assert answer.status_code == 403
    assert "your role here does not include approving" in answer.text
    assert asked.status_code == 403
    assert "words worth keeping</textarea>" in asked.text
    assert (await stage.log.view("k3f9")).state == "awaiting_approval"


async def test_our_script_gets_the_sentence_as_json(stage: Stage) -> None:
    await waiting_for_approval(stage)
    async with stage.client(await stage.person("Linus", "viewer")) as client:
        headers = {"Origin": stage.url, "Accept": "application/json"}
        data = {"csrf": await client.csrf()}
        answer = await client.http.post(
            "/s/k3f9/stop", data=data, headers={**headers, "Sec-Fetch-Site": "same-origin"}
        )
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "can stop this session" in answer.json()["detail"]


async def test_stop_retry_and_archive(stage: Stage) -> None:
    await stage.session(
        "k3f9", [*story.opening(), *story.start(), e.TurnFailed(turn_id="t1", cause="x", advice="y")]
    )
    async with stage.client(await stage.person("Ada")) as client:
        assert (await client.post("/s/k3f9/retry")).status_code == 303
        assert (await stage.log.view("k3f9")).state == "queued"
        assert (await client.post("/s/k3f9/stop")).status_code == 303
        assert (await stage.log.view("k3f9")).state == "stopped"
        assert (await client.post("/s/k3f9/archive")).status_code == 303
        page = (await client.get("/s/k3f9")).text
    assert (await stage.log.view("k3f9")).archived
    assert 'id="composer"' not in page


async def test_a_repository_is_picked(stage: Stage) -> None:
    asked = e.RepositoryAsked(reason="two fit", candidates=(e.Candidate(slug="acme/web"),))
    await stage.session("k3f9", [*story.opening(), asked])
    async with stage.client(await stage.person("Grace")) as client:
        assert 'value="acme/web"' in (await client.get("/s/k3f9")).text
        assert (await client.post("/s/k3f9/repository", other="")).status_code == 409
        assert (await client.post("/s/k3f9/repository", other="acme/infrastructure")).status_code == 303
    view = await stage.log.view("k3f9")
    assert view.repository is not None
    assert view.repository.slug == "acme/infrastructure"


async def test_each_of_several_repositories_gets_a_session(stage: Stage) -> None:
    both = (e.Candidate(slug="acme/web"), e.Candidate(slug="acme/billing"))
    asked = e.RepositoryAsked(reason="Both send mails.", candidates=both, together=True)
    await stage.session("k3f9", [*story.opening(), asked])
    ada, shown = await stage.person("Ada"), together_digest(asked)
    async with stage.client(ada) as client:
        # In chat each has a thread, which the bot alone can begin: the page asks for them.
        assert what_each_means((await stage.log.view("k3f9")).origin) in (await client.get("/s/k3f9")).text
        refused = await client.post("/s/k3f9/each", shown="of other repositories")
        assert (refused.status_code, OLD_QUESTION in refused.text) == (409, True)
        assert (await client.post("/s/k3f9/each", shown=shown)).status_code == 303
        assert (await stage.log.view("k3f9")).each_by == ada
        page = (await client.get("/s/k3f9")).text
        assert "Ada wants a session for each of them" in page
        assert EACH not in page
        await stage.append("k3f9", e.EachFailed(sentence="I cannot begin a thread."))
        page = (await client.get("/s/k3f9")).text
        assert f">{EACH}</button>" in page
        assert "I cannot begin a thread." in page

        # What began on the page has no threads: they begin at once, and are linked.
        answer = await client.post("/sessions", text="Bump the mail library")
        address = answer.headers["location"]
        session_id = address.removeprefix("/s/")
        await stage.append(session_id, asked)
        posts = (client.post(f"{address}/each", shown=shown) for _ in range(2))
        assert 303 in {answer.status_code for answer in await asyncio.gather(*posts)}
        (other,) = {row.id for row in await stage.log.sessions(SessionFilter())} - {session_id, "k3f9"}
        assert f'<a href="/s/{other}">acme/billing</a>' in (await client.get(address)).text
        assert f'<a href="{address}">acme/web</a>' in (await client.get(f"/s/{other}")).text
    view, beside = await stage.log.view(session_id), await stage.log.view(other)
    assert view.repository is not None
    assert (view.repository.slug, view.repository.beside) == ("acme/web", ("acme/billing",))
    (prompt,) = beside.waiting_prompts
    assert (prompt.prompt.text, prompt.prompt.repository) == ("Bump the mail library", "acme/billing")


async def test_a_question_is_answered(stage: Stage) -> None:
    question = e.QuestionAsked(
        question_id="q1", turn_id="t1", call_id="c1", text="Which one?", options=("left", "right")
    )
    await stage.session("k3f9", [*story.opening(), *story.start(), question])
    async with stage.client(await stage.person("Ada")) as client:
        assert (await client.post("/s/k3f9/questions/q1")).status_code == 409
        assert (await client.post("/s/k3f9/questions/q1", option="left")).status_code == 303
    answered = next(r.event for r in await stage.log.read("k3f9") if isinstance(r.event, e.QuestionAnswered))
    assert answered.text == "left"


async def test_feedback_is_kept(stage: Stage) -> None:
    events = [*story.opening(), *story.start(), *story.work(), *story.finish(), *story.ending()]
    await stage.session("k3f9", events)
    async with stage.client(await stage.person("Ada")) as client:
        await client.post("/s/k3f9/feedback", verdict="bad")
    feedback = await last(stage)
    assert isinstance(feedback, e.FeedbackGiven)
    assert feedback.verdict == "bad"


SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"Origin": "https://evil.example", **SAME}, "own"),
        ({"Origin": "null", **SAME}, "own"),
        ({"Sec-Fetch-Site": "cross-site"}, "own"),
        ({"Sec-Fetch-Site": "same-site"}, "own"),
        ({"Sec-Fetch-Site": "none"}, "own"),
        ({}, "own"),
        (SAME, "none"),
        (SAME, "garbled"),
        (SAME, "of somebody else"),
    ],
)
@pytest.mark.parametrize("path", ["/s/k3f9/stop", "/sessions", "/api/v1/sessions/k3f9/stop"])
async def test_changes_come_from_our_pages_only(
    stage: Stage, headers: dict[str, str], token: str, path: str
) -> None:
    await waiting_for_approval(stage)
    before = (await stage.log.view("k3f9")).seq
    async with stage.client(await stage.person("Ada")) as client:
        given = await _token(stage, client, token)
        answer = await client.http.post(
            path, data={"csrf": given, "text": "x"}, headers={**headers, "X-CSRF-Token": given}
        )
        listed = (await client.get("/api/v1/sessions")).json()
    assert answer.status_code == 403
    assert (await stage.log.view("k3f9")).seq == before
    assert len(listed) == 1


async def _token(stage: Stage, client: Browserlike, kind: str) -> str:
    if kind == "own":
        return await client.csrf()
    if kind == "of somebody else":
        other: Person = await stage.person("Mallory")
        async with stage.client(other) as theirs:
            return await theirs.csrf()
    return "" if kind == "none" else "0123.4567"


async def test_no_get_changes_anything(stage: Stage) -> None:
    await waiting_for_approval(stage)
    before = (await stage.log.view("k3f9")).seq
    async with stage.client(await stage.person("Ada")) as client:
        for path in ("stop", "retry", "archive", "approvals/a1/approve", "prompts", "feedback"):
            assert (await client.get(f"/s/k3f9/{path}")).status_code in (404, 405)
    assert (await stage.log.view("k3f9")).seq == before


async def test_bodies_are_capped_before_they_are_parsed(stage: Stage) -> None:
    async with stage.client(await stage.person("Ada")) as client:
        declared = await client.post("/sessions", text="x" * 300_000)

        async def chunks() -> object:
            for _ in range(40):
                yield b"text=" + b"x" * 10_000

        undeclared = await client.http.post(
            "/sessions",
            content=chunks(),  # type: ignore[arg-type]
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "Origin": stage.url,
                "Sec-Fetch-Site": "same-origin",
            },
        )
    assert declared.status_code == 413
    assert undeclared.status_code == 413


async def test_the_api_speaks_json(stage: Stage) -> None:
    ada = await stage.person("Ada")
    async with stage.client(ada) as client:
        headers = {"Origin": stage.url, "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": await client.csrf()}

        async def post(path: str, body: object) -> tuple[int, dict[str, object]]:
            answer = await client.http.post(f"/api/v1/sessions{path}", json=body, headers=headers)
            return answer.status_code, answer.json()

        status, opened = await post("", {"text": "Fix the footer", "repository": "acme/web"})
        assert status == 201
        one = f"/{opened['id']}"
        assert (await client.get(f"/api/v1/sessions{one}")).json()["title"] == opened["title"]
        assert (await post(f"{one}/prompts", {"text": "and the header"}))[0] == 202
        status, malformed = await post("", {"text": "x", "odd": 1})
        assert (status, malformed["detail"]) == (422, "odd: Extra inputs are not permitted")
        assert (await post("", {"text": "  "}))[0] == 409
        assert (await post("", {"text": "x", "repository": "acme/none"}))[0] == 404
        assert (await post(f"{one}/stop", {}))[1]["state"] == "stopped"
        assert (await post("/none/stop", {}))[0] == 404
        rows = (await client.get("/api/v1/sessions?text=footer")).json()
    assert [row["id"] for row in rows] == [opened["id"]]


async def test_the_api_approves_by_digest(stage: Stage) -> None:
    await waiting_for_approval(stage)
    async with stage.client(await stage.person("Grace")) as client:
        headers = {"Origin": stage.url, "X-CSRF-Token": await client.csrf(), **SAME}
        path = "/api/v1/sessions/k3f9/approvals/a1/approve"
        assert (await client.http.post(path, json={"digest": ""}, headers=headers)).status_code == 422
        assert (await client.http.post(path, json={"digest": "d" * 64}, headers=headers)).status_code == 200
    assert isinstance(await last(stage), e.ApprovalGiven)


async def test_opening_the_prompt_box_has_a_sandbox_wait_for_those_who_may_ask(
    tmp_path: Path, redis_url: str
) -> None:
    async def rung(slug: str) -> bool:
        return await queue.status("warm_box", slug, 0) == "queued"

    async with open_stage(tmp_path, {"REDIS_URL": redis_url}) as stage, Queue(redis_url) as queue:
        asking, scripted = {"repository": "acme/web"}, {"Accept": "application/json"}
        async with stage.client(await stage.person("Vera", "viewer")) as client:
            assert (await client.post("/warm", **asking)).status_code == 303
            assert not await rung("acme/web"), "who may not ask has nothing made"
        async with stage.client(await stage.person("Ada")) as client:
            foreign = await client.http.post("/warm", data=asking, headers=scripted)
            stale = await client.post("/warm", csrf="of another page", **asking)
            assert (foreign.status_code, stale.status_code) == (403, 403)
            assert not await rung("acme/web")
            for repository in ("", "acme/unheard-of", "ACME/web"):
                assert (await client.post("/warm", repository=repository)).status_code == 303
            assert await rung("acme/web")
            assert await queue.depth() == 1
