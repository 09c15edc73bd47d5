"""The admins' page: who may see it, the kill switch, secrets that go in and never come out, the audit."""

from __future__ import annotations

import pytest

from session.audit import AuditEntry
from session.people import Role
from tests.companion_web import story
from tests.companion_web.stage import Stage

TOKEN = "rt-9f2c-canary-of-this-test"


def entry(number: int, session_id: str = "", action: str = "egress.request") -> AuditEntry:
    return AuditEntry(
        actor="box b1",
        action=action,
        target=f"GET example.com:443/{number:03}",
        outcome="refused",
        session_id=session_id,
        detail={"rule": "none <b>matches</b>"},
    )


@pytest.mark.parametrize("role", ["viewer", "prompter", "approver"])
async def test_others_are_told_whose_page_it_is(stage: Stage, role: Role) -> None:
    forms = {"/admin/stop": {}, "/admin/resume": {}, "/admin/secrets": {"name": "A", "value": TOKEN}}
    async with stage.client(await stage.person("Grace", role)) as client:
        assert 'href="/admin"' not in (await client.get("/")).text
        pages = [await client.get("/admin"), await client.get("/admin/stop")]
        posts = [await client.post(path, **fields) for path, fields in forms.items()]
        posts.append(await client.post("/admin/secrets/delete", name="A"))
    for answer in (*pages, *posts):
        assert answer.status_code == 403
        assert "for admins" in answer.text
        assert "Audit</h2>" not in answer.text
    assert await stage.governance.switch.halt() is None
    assert await stage.broker.secrets.names() == ()


async def test_forms_need_our_page_and_its_token(stage: Stage) -> None:
    async with stage.client(await stage.person("Ada", "admin")) as client:
        token = await client.csrf("/admin")
        foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        for path in ("/admin/stop", "/admin/resume", "/admin/secrets", "/admin/secrets/delete"):
            answer = await client.http.post(path, data={"csrf": token}, headers=foreign)
            assert answer.status_code == 403
            assert (await client.post(path, csrf="guessed")).status_code == 403
        assert (await client.get("/admin/stop")).status_code == 200, "looking at the question stops nothing"
    assert await stage.governance.switch.halt() is None


async def test_all_work_is_stopped_after_a_question_and_switched_on_again(stage: Stage) -> None:
    await stage.session("s", [*story.opening(), *story.start()])
    async with stage.client(await stage.person("Ada", "admin")) as client:
        assert "Work goes on" in (await client.get("/admin")).text
        question = await client.get("/admin/stop")
        assert "Yes, stop all work" in question.text
        answer = await client.post("/admin/stop", page="/admin/stop", reason="odd <i>requests</i>")
        assert (answer.status_code, answer.headers["location"]) == (303, "/admin")
        halt = await stage.governance.switch.halt()
        assert halt is not None
        assert (halt.by, halt.reason) == ("Ada", "odd <i>requests</i>")
        assert (await stage.log.view("s")).state == "stopped"
        page = (await client.get("/admin")).text
        assert "All work is stopped" in page
        assert "odd &lt;i&gt;requests&lt;/i&gt;" in page
        await client.post("/admin/resume", page="/admin")
        assert await stage.governance.switch.halt() is None
        await client.post("/admin/resume", page="/admin")
    actions = [row.entry.action for row in await stage.broker.audit.page(None, 10)]
    assert actions == ["halt.release", "halt.engage"]


async def test_a_secret_goes_in_is_replaced_and_deleted_and_never_shown(stage: Stage) -> None:
    ada = await stage.person("Ada", "admin")
    async with stage.client(ada) as client:
        assert "No secrets yet." in (await client.get("/admin")).text
        for value in ("the first", TOKEN):
            kept = await client.post("/admin/secrets", page="/admin", name="REGISTRY_TOKEN", value=value)
            assert kept.status_code == 303
        assert await stage.broker.secrets.get("REGISTRY_TOKEN") == TOKEN
        page = (await client.get("/admin")).text
        assert "REGISTRY_TOKEN" in page
        assert TOKEN not in page
        await client.post("/admin/secrets/delete", page="/admin", name="REGISTRY_TOKEN")
        assert " for Ada</span>" in (await client.get("/admin")).text
    assert await stage.broker.secrets.names() == ()
    rows = await stage.broker.audit.page(None, 10)
    assert [row.entry.action for row in rows] == ["secret.delete", "secret.set", "secret.set"]
    assert all(row.entry.actor.endswith(f" for {ada.id}") for row in rows)
    assert TOKEN not in repr(rows)


@pytest.mark.parametrize(
    ("name", "value"), [("lower", TOKEN), ("1ST", TOKEN), ("A" * 65, TOKEN), ("", TOKEN), ("A", "")]
)
async def test_what_cannot_be_a_secret_is_refused_without_repeating_it(
    stage: Stage, name: str, value: str
) -> None:
    async with stage.client(await stage.person("Ada", "admin")) as client:
        answer = await client.post("/admin/secrets", page="/admin", name=name, value=value)
    assert answer.status_code == 409
    assert "That cannot be a secret" in answer.text
    assert TOKEN not in answer.text


async def test_the_audit_is_paged_newest_first_and_filtered(stage: Stage) -> None:
    for number in range(1, 56):
        await stage.broker.audit.write(entry(number, session_id="s1" if number == 7 else ""))
    await stage.broker.audit.write(entry(56, action="forge.publish"))
    async with stage.client(await stage.person("Ada", "admin")) as client:
        first = (await client.get("/admin")).text
        assert first.index("443/056") < first.index("443/055")
        assert "443/006" not in first
        assert "none &lt;b&gt;matches&lt;/b&gt;" in first
        assert "/admin?before=7#audit" in first
        second = (await client.get("/admin?before=7")).text
        assert "443/006" in second
        assert "443/007" not in second
        assert "Older entries" not in second
        of_session = (await client.get("/admin?session=s1")).text
        assert "443/007" in of_session
        assert "443/008" not in of_session
        of_action = (await client.get("/admin?action=forge.publish")).text
        assert "443/056" in of_action
        assert "443/055" not in of_action
        nothing = await client.get("/admin?session=nobody&before=-1&action=%00")
    assert nothing.status_code == 200
    assert "Nothing fits these filters." in nothing.text


async def test_without_the_broker_the_page_says_so_and_the_switch_still_works(stage: Stage) -> None:
    async with stage.client(await stage.person("Ada", "admin")) as client:
        await stage.broker.stop()
        page = await client.get("/admin")
        assert page.status_code == 200
        assert "The broker, which holds all credentials, does not answer." in page.text
        refused = await client.post("/admin/secrets", page="/admin", name="A", value=TOKEN)
        assert refused.status_code == 503
        assert "does not answer" in refused.text
        assert TOKEN not in refused.text
        await client.post("/admin/stop", page="/admin/stop")
        assert await stage.governance.switch.halt() is not None
