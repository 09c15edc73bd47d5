"""The pages as a real browser shows them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from session import events as e
from session.audit import AuditEntry
from session.channel_rules import Channel, WatchedWord
from session.slack_installations import SlackInstallation
from tests.companion_web import story
from tests.companion_web.browser import DESK, PHONE, visit
from tests.companion_web.payloads import XSS
from tests.companion_web.stage import Stage

pytestmark = pytest.mark.needs("chromium")


async def places(page: Page) -> list[int]:
    """The sequences of the timeline's items, as they stand on the page."""
    found = await page.locator("#timeline > li").evaluate_all("items => items.map(i => Number(i.dataset.at))")
    return [int(place) for place in found]


async def test_a_page_opened_mid_run_shows_everything_once(stage: Stage, browser: Browser) -> None:
    ada = await stage.person("Ada")
    await stage.session("s", [*story.opening(), *story.start()])
    work = list(story.work())
    async with stage.serve(), visit(browser, stage, ada) as page:
        await stage.append("s", *work[:8])
        await page.goto(f"{stage.url}/s/s")
        await stage.append("s", *work[8:])
        await expect(page.get_by_text("The cause is found")).to_be_visible()
        await expect(page.locator("#plan")).to_contain_text("3 of 5")
        shown = await places(page)
        assert shown == sorted(set(shown))
        await page.reload()
        assert await places(page) == shown, "what came live is what a fresh page shows"


async def test_a_cut_connection_resumes_without_gap_or_double(stage: Stage, browser: Browser) -> None:
    ada = await stage.person("Ada")
    await stage.session("s", [*story.opening(), *story.start()])
    work = list(story.work())
    async with stage.serve(), visit(browser, stage, ada) as page:
        await page.goto(f"{stage.url}/s/s")
        for number, event in enumerate(work):
            await stage.append("s", event)
            if number % 6 == 2:
                await page.context.set_offline(True)
            elif number % 6 == 5:
                await page.context.set_offline(False)
        await page.context.set_offline(False)
        await expect(page.get_by_text("The cause is found")).to_be_visible()
        shown = await places(page)
        await page.reload()
        assert shown == await places(page)


async def test_words_stream_in_and_the_finished_message_takes_their_place(
    stage: Stage, browser: Browser
) -> None:
    ada = await stage.person("Ada")
    await stage.session("s", [*story.opening(), *story.start()])
    async with stage.serve(), visit(browser, stage, ada) as page:
        async with page.expect_response("**/events*"):
            await page.goto(f"{stage.url}/s/s")
        await stage.pulse.publish_tokens("s", "t1", "I will *look* ")
        await expect(page.locator("#live")).to_have_text("I will *look* ")
        await stage.pulse.publish_tokens("s", "t1", "at <b>it</b>")
        await expect(page.locator("#live")).to_have_text("I will *look* at <b>it</b>")
        await stage.append("s", e.ModelReplied(turn_id="t1", text="I will *look* at it", model="m"))
        await expect(page.locator("#live")).to_be_hidden()
        await expect(page.locator(".is-reply em")).to_have_text("look")


async def test_buttons_do_what_they_say(stage: Stage, browser: Browser) -> None:
    grace = await stage.person("Grace")
    await stage.session("s", [*story.opening(), *story.start(), *story.work(), *story.finish()])
    async with stage.serve(), visit(browser, stage, grace) as page:
        await page.goto(f"{stage.url}/s/s")
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_text("Approved by Grace")).to_be_visible()
        await page.get_by_role("button", name="Take it back").click()
        await page.get_by_role("button", name="Refuse").click()
        await expect(page.get_by_text("Refused by Grace")).to_be_visible()
        await page.get_by_placeholder("What next?").fill("Also the footer")
        await page.get_by_role("button", name="Send").click()
        await expect(page.locator("#queue")).to_contain_text("Also the footer")
        await expect(page.get_by_placeholder("What next?")).to_have_value("")
        await page.get_by_role("button", name="Stop").click()
        await expect(page.get_by_text("Stopped by Grace")).to_be_visible()
    assert (await stage.log.view("s")).state == "stopped"


async def test_refusals_are_shown(stage: Stage, browser: Browser) -> None:
    linus = await stage.person("Linus", "viewer")
    await stage.session("s", [*story.opening(), *story.start(), *story.work(), *story.finish()])
    async with stage.serve(), visit(browser, stage, linus) as page:
        await page.goto(f"{stage.url}/s/s")
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_role("status")).to_contain_text("does not include approving")


async def test_without_scripts_the_forms_still_work(stage: Stage, browser: Browser) -> None:
    grace = await stage.person("Grace")
    await stage.session("s", [*story.opening(), *story.start(), *story.work(), *story.finish()])
    async with stage.serve(), visit(browser, stage, grace, scripts=False) as page:
        await page.goto(f"{stage.url}/s/s")
        await expect(page.get_by_text("Times are UTC.")).to_be_visible()
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_text("Approved by Grace")).to_be_visible()
        await page.get_by_placeholder("What next?").fill("Also the footer")
        await page.get_by_role("button", name="Send").click()
        await expect(page.locator("#queue")).to_contain_text("Also the footer")
        await page.get_by_text("running the tests in billing").click()
        await page.get_by_role("link", name="Show what it did").locator("visible=true").click()
        await expect(page.get_by_text("1 failed, 11 passed")).to_be_visible()


async def test_return_in_a_field_presses_no_button(stage: Stage, browser: Browser) -> None:
    """All loose fields share one form, whose first real button would be Stop."""
    question = e.QuestionAsked(question_id="q1", turn_id="t1", call_id="c1", text="Which?")
    await stage.session("s", [*story.opening(), *story.start(), question])
    async with stage.serve(), visit(browser, stage, await stage.person("Ada"), scripts=False) as page:
        await page.goto(f"{stage.url}/s/s")
        before = (await stage.log.view("s")).seq
        await page.get_by_placeholder("Your answer").fill("this one")
        await page.get_by_placeholder("Your answer").press("Enter")
        await page.reload()
        assert (await stage.log.view("s")).seq == before
        await page.get_by_placeholder("Your answer").fill("this one")
        await page.get_by_role("button", name="Answer").click()
        await expect(page.get_by_text("this one")).to_be_visible()


async def test_a_call_unfolds_and_stays_unfolded(stage: Stage, browser: Browser) -> None:
    begun = story.call("c1", "shell", "running the tests", '{"command": "pytest"}', "12 passed")
    await stage.session("s", [*story.opening(), *story.start(), *begun[:2]])
    async with stage.serve(), visit(browser, stage, await stage.person("Ada")) as page:
        await page.goto(f"{stage.url}/s/s")
        await page.get_by_text("running the tests").click()
        await expect(page.get_by_text("Still running.")).to_be_visible()
        await stage.append("s", begun[2])
        await expect(page.get_by_text("12 passed")).to_be_visible()


async def test_hostile_texts_are_inert_first_and_live(stage: Stage, browser: Browser) -> None:
    def everywhere(payload: str, call_id: str) -> list[e.Event]:
        return [
            e.ModelReplied(turn_id="t1", text=payload, model=payload),
            e.PlanChanged(items=(e.PlanItem(text=payload),)),
            e.NoteAdded(turn_id="t1", text=payload),
            *story.call(call_id, payload, payload, payload, payload),
            e.UpdatePosted(text=payload),
            e.PartDegraded(part=payload, detail=payload),
            e.WorkHeldBack(holds=(e.Hold(kind="secret", what=payload, path=payload),), saved=True),
            e.WorkHeldBack(holds=(e.Hold(kind="commit", what=payload, commit=payload),), saved=True),
            e.UntrustedRead(source=payload),
            e.BudgetWarned(budget=payload, text=payload),
            e.SandboxReady(
                backend="local",
                isolation=payload,
                box="b",
                image="i",
                secrets=(payload,),
                services=(payload,),
            ),
            e.WorkspaceSynced(turn_id="t1", seconds=1, services=(payload,)),
            story.governance_approval(f"g{call_id}", "egress", payload, payload, payload).model_copy(
                update={"blocking": False}
            ),
            story.approval(payload).model_copy(
                update={"title": payload, "detail": payload, "blocking": False}
            ),
            e.PromptQueued(prompt=story.prompt(f"p{call_id}", payload)),
            e.PullRequestOpened(
                number=1, url="javascript:window.pwned=1", branch=payload, base=payload, head_sha=payload,
                title=payload, draft=False, author=payload,
            ),
        ]  # fmt: skip

    await stage.session("s", [*story.opening(XSS[0], XSS[1]), *story.start()])
    for number, payload in enumerate(XSS[::2]):
        await stage.append("s", *everywhere(payload, f"first{number}"))
    async with stage.serve(), visit(browser, stage, await stage.person("Ada")) as page:
        async with page.expect_response("**/events*"):
            await page.goto(f"{stage.url}/s/s")
        for number, payload in enumerate(XSS[1::2]):
            await stage.pulse.publish_tokens("s", "t1", payload)
            await stage.append("s", *everywhere(payload, f"live{number}"))
        last = await stage.append("s", e.UpdatePosted(text="that was all"))
        await expect(page.locator(f"#e{last}")).to_be_visible()
        for summary in await page.locator(".is-call summary").all():
            await summary.evaluate("element => element.click()")
        await expect(page.locator(".call-body")).to_have_count(len(XSS))
        assert await page.evaluate("window.pwned") is None
        for tag in ("iframe", "object", "base", "form:not([action]):not(#act)", "main svg", "main style"):
            assert await page.locator(tag).count() == 0
        links = await page.locator("main a").evaluate_all("links => links.map(link => link.protocol)")
        assert set(links) <= {"http:", "https:"}


async def test_hostile_texts_are_inert_on_the_admins_page(stage: Stage, browser: Browser) -> None:
    for payload in XSS:
        await stage.broker.audit.write(audited(payload))
    ada = await stage.person("Ada", "admin")
    await stage.governance.switch.engage(ada, XSS[0])
    async with stage.serve(), visit(browser, stage, ada) as page:
        for number in range(0, len(XSS), 50):
            await page.goto(f"{stage.url}/admin?before={len(XSS) - number + 1}")
            await expect(page.locator(".audit tbody tr")).to_have_count(min(50, len(XSS) - number))
            assert await page.evaluate("window.pwned") is None
            for tag in ("iframe", "object", "base", "main svg", "main style", "main img", "main script"):
                assert await page.locator(tag).count() == 0


def audited(text: str) -> AuditEntry:
    """Something on record that says the text wherever a row can."""
    return AuditEntry(
        actor=text[:255], action="egress.request", target=text, outcome="refused", detail={text: text}
    )


async def test_an_admin_stops_all_work_keeps_a_secret_and_reads_the_audit(
    stage: Stage, browser: Browser
) -> None:
    ada = await stage.person("Ada", "admin")
    async with stage.serve(), visit(browser, stage, ada, size=PHONE) as page:
        await page.get_by_role("link", name="Admin").click()
        await page.get_by_role("link", name="Stop all work…").click()
        await page.get_by_role("link", name="No, go back").click()
        assert await stage.governance.switch.halt() is None
        await page.get_by_role("link", name="Stop all work…").click()
        await page.get_by_label("Why?").fill("odd requests")
        await page.get_by_role("button", name="Yes, stop all work").click()
        await expect(page.get_by_text("All work is stopped")).to_be_visible()
        assert await stage.governance.switch.halt() is not None
        await page.get_by_role("button", name="Switch on again").click()
        await expect(page.get_by_text("Work goes on")).to_be_visible()
        await page.get_by_label("Name").fill("REGISTRY_TOKEN")
        await page.get_by_label("Value").fill("a value that nobody reads")
        await page.get_by_role("button", name="Save").click()
        await page.locator("summary", has_text="REGISTRY_TOKEN").click()
        assert "a value that nobody reads" not in await page.content()
        await page.get_by_role("button", name="Delete REGISTRY_TOKEN").click()
        await expect(page.get_by_text("No secrets yet.")).to_be_visible()
        await page.get_by_label("Action").fill("secret")
        await page.get_by_role("button", name="Show").click()
        await expect(page.locator(".audit tbody tr")).to_have_count(2)


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_fit_and_can_be_read(
    stage: Stage, browser: Browser, size: tuple[int, int], scheme: str, tmp_path: Path
) -> None:
    """No sideways scrolling, contrast of WCAG AA, fields with names, headings in order, and targets that a
    finger can hit; with pictures to look at in `BELLHOP_SCREENSHOTS`."""
    pictures = Path(os.environ.get("BELLHOP_SCREENSHOTS", tmp_path))
    await stage.session("s", [*story.opening(), *story.start(), *story.work()])
    diff = await stage.artifacts.put("s", "diff", "changes.json", "application/json", story.PATCHES.encode())
    await stage.append("s", diff, *story.governed(), *story.finish(diff.artifact_id))
    await stage.append("s", e.UpdatePosted(text="x" * 400))
    ada = await stage.person("Ada", "admin")
    await stage.governance.secrets.set("A_NAME_AS_LONG_AS_THEY_CAN_BE_" + "X" * 34, "value")
    await stage.broker.audit.write(audited("x" * 300))
    channel = Channel("slack", "T1", "C1", "channel-with-a-rather-long-name-" + "x" * 48)
    await stage.customs.channels.set_words(ada, channel, [WatchedWord("w" * 64, starts=True)], through="web")
    await stage.customs.people.set_branch(ada, "acme/infrastructure", "release/" + "9" * 60, through="web")
    workspace = "Workspace-" + "x" * 120
    installed = SlackInstallation("T0" + "X" * 30, workspace, None, "U0BOT", (), ada.id, datetime.now(UTC))
    await stage.slack.installations.put(installed)
    look = "dark" if scheme == "dark" else "light"
    async with stage.serve(), visit(browser, stage, ada, size=size, scheme=look) as page:  # type: ignore[arg-type]
        of_session = ("/s/s", "/s/s/changes", "/s/s/checks", "/s/s/artifacts", "/s/s/log")
        of_admins = ("/admin/channels", "/admin/slack", "/repositories")
        for path in ("/", *of_session, "/account", "/admin", "/admin/stop", *of_admins):
            await page.goto(f"{stage.url}{path}")
            name = path.strip("/").replace("/", "-") or "list"
            await page.screenshot(path=pictures / f"{name}-{size[0]}-{look}.png")
            assert await page.evaluate("document.documentElement.scrollWidth") <= size[0], path
            assert await page.evaluate(CONTRAST) == [], path
            assert await page.evaluate(UNCLEAR) == [], path
            if path in of_session:
                await expect(page.locator("#tabs [aria-current]")).to_be_in_viewport(ratio=0.95)
            if size == PHONE:
                assert await page.evaluate(SMALL_TARGETS) == [], path


async def test_nothing_jumps_while_the_agent_writes(stage: Stage, browser: Browser) -> None:
    await stage.session("s", [*story.opening(), *story.start()])
    async with stage.serve(), visit(browser, stage, await stage.person("Ada")) as page:
        await page.goto(f"{stage.url}/s/s")
        await page.evaluate(WATCH_SHIFTS)
        for event in story.work():
            await stage.pulse.publish_tokens("s", "t1", "some words ")
            await stage.append("s", event)
        await expect(page.get_by_text("The cause is found")).to_be_visible()
        assert await page.evaluate("window.shifted") < 0.1, "Web Vitals: a layout shift below 0.1 is good"


CONTRAST = """() => {
  const light = c => { c /= 255; return c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4 };
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => .2126 * light(r) + .7152 * light(g) + .0722 * light(b);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(element).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return parse(getComputedStyle(document.documentElement).backgroundColor);
  };
  const weak = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility({visibilityProperty: true})) continue;
    if (element.closest(".sr, .skip, option")) continue;
    const style = getComputedStyle(element);
    const [one, two] = [luminance(parse(style.color)), luminance(behind(element))].sort((a, b) => b - a);
    const needed = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
    const ratio = (one + .05) / (two + .05);
    if (ratio < needed) weak.add(`${element.className || element.tagName}: ${ratio.toFixed(2)}`);
  }
  return [...weak];
}"""

UNCLEAR = """() => {
  const seen = kinds => [...document.querySelectorAll(kinds)].filter(e => e.checkVisibility());
  const fields = seen("input:not([type=hidden]), select, textarea");
  const nameless = fields.filter(e => !e.labels.length && !e.ariaLabel).map(e => e.outerHTML);
  const headings = seen("h1, h2, h3, h4, h5, h6").filter(h => !h.closest(".prose"));
  const levels = headings.map(h => Number(h.tagName[1]));
  const skipping = levels.filter((level, at) => level > (levels[at - 1] ?? 0) + 1);
  return [...nameless, ...skipping.map(level => `a heading skips to h${level}`)];
}"""

SMALL_TARGETS = """() => {
  const kinds = "button, .button, input:not([type=hidden]), select, textarea, nav a, .asks a, summary";
  return [...document.querySelectorAll(kinds)]
    .filter(e => e.checkVisibility({visibilityProperty: true}) && !e.closest(".sr, .skip"))
    .map(e => [e, (e.type === "checkbox" ? e.closest("label") : e).getBoundingClientRect()])
    .filter(([e, box]) => box.height < 43.5 && box.width > 0)
    .map(([e, box]) => `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 30)} ${box.height}`);
}"""

WATCH_SHIFTS = """() => {
  window.shifted = 0;
  new PerformanceObserver(list => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
  }).observe({type: "layout-shift", buffered: false});
}"""
