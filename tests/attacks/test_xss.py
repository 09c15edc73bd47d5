"""Words of strangers, of the agent and of programs that try to run in the browser of whoever reads them.

Asset: the sign-in of all who look at a page. Attacker: who can get a text before the agent or a person: an
issue, a file's name, a program's output, a display name. Path: every text of every event, changed files,
checks, artifacts, the audit, names of people and secrets, addresses. Control: templates that escape, Markdown
that is cleaned, terminal output of which colours alone are kept, and a content security policy for the case
that all of this fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, expect
from playwright.async_api import Error as PlaywrightError

from session import events as e
from session.audit import AuditEntry
from session.database import Database
from session.people import Identity
from session.secret_rows import SecretRows
from session.slack_installations import SlackInstallation
from tests.attacks.browsing import signed_in
from tests.attacks.frame import Control, refuted
from tests.attacks.poison import everything, poisoned
from tests.attacks.xss_payloads import PAYLOADS
from tests.companion_web import story
from tests.companion_web.stage import stage as open_stage

CONTROLS = (
    Control("companion_web/fragments.py", (("autoescape=True", "autoescape=False"),)),
    Control(
        "companion_web/security.py",
        (
            (
                "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self'",
                "default-src * 'unsafe-inline'",
            ),
        ),
    ),
)
PROOF = "test_sixty_payloads_in_every_field"

pytestmark = pytest.mark.needs("chromium")

PATIENCE_MS = 60_000

SCAN = (Path(__file__).parent / "strange_elements.js").read_text()
FETCHED = f"""async paths => {{
  const found = {{}};
  for (const path of paths) {{
    const page = new DOMParser().parseFromString(await (await fetch(path)).text(), "text/html");
    const strange = ({SCAN})(page);
    if (strange.length) found[path] = strange;
  }}
  return found;
}}"""


class Watched:
    """A signed-in person's page, and what it did that none of ours does."""

    def __init__(self, page: Page, url: str) -> None:
        self._page, self._url = page, url
        self.deeds: list[str] = []
        page.on("request", lambda request: self._asked(request.url))
        page.on("dialog", lambda dialog: self.deeds.append(f"opened a dialog: {dialog.message}"))
        page.on("console", self._console)

    def _asked(self, url: str) -> None:
        if not url.startswith(f"{self._url}/"):
            self.deeds.append(f"asked for {url}")

    def _console(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.deeds.append(f"held what only the policy stopped: {message.text}")

    async def harmless(self, what: str) -> None:
        """Nothing ran, nothing was asked of others, and the page's elements are ours."""
        try:
            ran = await self._page.evaluate("window.pwned")
            strange = await self._page.evaluate(f"({SCAN})(document)")
        except PlaywrightError as error:
            refuted("navigation" not in str(error), f"{what} led its reader elsewhere")
            raise
        refuted(ran is None, f"a script ran on {what}")
        refuted(self.deeds == [], f"{what} {self.deeds[:1]}")
        refuted(strange == [], f"{what} holds elements of a stranger's: {strange[:2]}")

    async def look(self, path: str) -> None:
        """The page at that path, loaded and seen to be harmless."""
        await self._page.goto(f"{self._url}{path}")
        await self.harmless(path)

    async def parse(self, paths: Sequence[str]) -> None:
        """Pages read by the browser's own parser, which is quicker than to go there."""
        found = await self._page.evaluate(FETCHED, list(paths))
        refuted(found == {}, f"pages hold elements of a stranger's: {list(found.items())[:2]}")


async def test_sixty_payloads_in_every_field_of_every_event(tmp_path: Path, browser: Browser) -> None:
    assert len(set(PAYLOADS)) == 60
    told = {type(event).__name__ for event in everything()} | {"TurnFailed", "SessionArchived"}
    assert set(e.EVENT_TYPES) - told == {"ArtifactAdded"}, "which the next test has"
    async with open_stage(tmp_path) as stage, stage.serve():
        ada = await stage.person("Ada", "admin")
        async with signed_in(browser, stage, ada) as page:
            watched = Watched(page, stage.url)
            # Each field with other payloads each time, and whatever can run runs.
            for shift in range(4):
                shifted = enumerate(everything(), shift * len(PAYLOADS) // 4)
                events = [poisoned(event, PAYLOADS[number % len(PAYLOADS)]) for number, event in shifted]
                await stage.session(f"mixed{shift}", events)
                name = PAYLOADS[shift]
                await stage.directory.resolve(
                    Identity(platform="console", workspace="", account="ada", name=name)
                )
                await watched.look(f"/s/mixed{shift}?all=1")
            # Then all of them in all fields, read by the browser's own parser.
            for number, payload in enumerate(PAYLOADS):
                await stage.session(f"s{number}", [poisoned(event, payload) for event in everything()])
            await watched.parse([f"/s/s{number}?all=1" for number in range(len(PAYLOADS))])
            for number, payload in enumerate(PAYLOADS):
                failed = e.TurnFailed(turn_id="t3", cause=payload, advice=payload)
                archived = poisoned(e.SessionArchived(by=story.ADA), payload)
                await stage.append(f"s{number}", failed, archived)
            for tab in ("", "/log"):
                await watched.parse([f"/s/s{number}{tab}" for number in range(len(PAYLOADS))])
            await watched.parse(list(addresses()))
            await watched.look("/")


def addresses() -> Iterator[str]:
    """Pages that say what their address says."""
    for payload in map(quote, PAYLOADS):
        yield f"/?text={payload}&state={payload}&repository={payload}&person={payload}"
        yield f"/admin?session={payload}&action={payload}&before={payload}"
        yield f"/sign-in?next=/{payload}"
        yield f"/sign-in/link?ticket={payload}"
        yield f"/nothing/{payload}"


async def test_sixty_payloads_in_what_comes_while_one_looks(tmp_path: Path, browser: Browser) -> None:
    async with open_stage(tmp_path) as stage, stage.serve():
        await stage.session("s", [*story.opening(), *story.start()])
        async with signed_in(browser, stage, await stage.person("Ada")) as page:
            watched = Watched(page, stage.url)
            async with page.expect_response("**/events*"):
                await page.goto(f"{stage.url}/s/s")
            events: list[e.Event] = []
            for number, payload in enumerate(PAYLOADS):
                await stage.pulse.publish_tokens("s", "t1", payload)
                called = story.call(f"c{number}-", "shell", "x", '{"x": "x"}', "x")
                asked = story.governance_approval(f"g{number}", "egress", "x", "x", "x")
                shown = [e.UpdatePosted(text="x"), e.PlanChanged(items=(e.PlanItem(text="x"),))]
                events += [poisoned(event, payload) for event in (*called, asked, *shown)]
            await stage.append("s", *events)
            last = await stage.append("s", e.UpdatePosted(text="that was all"))
            await expect(page.locator(f"#e{last}")).to_be_visible(timeout=PATIENCE_MS)
            await page.locator(".is-call summary").evaluate_all("all => all.forEach(one => one.click())")
            await expect(page.locator(".call-body")).to_have_count(len(PAYLOADS), timeout=PATIENCE_MS)
            await watched.harmless("a page that one looks at")


async def test_sixty_payloads_in_files_checks_and_the_admins_page(tmp_path: Path, browser: Browser) -> None:
    async with open_stage(tmp_path) as stage, stage.serve():
        ada = await stage.person("Ada", "admin")
        patches = [patch(payload) for payload in PAYLOADS]
        diff = await stage.artifacts.put("s", "diff", "x", "application/json", json.dumps(patches).encode())
        checks = tuple(poisoned(check(), payload) for payload in PAYLOADS)
        files = [
            diff,
            *[await stage.artifacts.put("s", "file", text, kind, text.encode()) for text, kind in kinds()],
        ]
        changed = e.ChangesRecorded(
            base_sha="x", head_sha="x", files=60, insertions=1, deletions=1, diff_artifact=diff.artifact_id
        )
        verified = e.VerificationFinished(turn_id="t1", head_sha="x", verdict="failed", checks=checks)
        await stage.session("s", [*story.opening(), *story.start(), *files, changed, verified])
        now = datetime.now(UTC)
        for number, payload in enumerate(PAYLOADS):
            await stage.broker.audit.write(audited(payload))
            account = Identity(platform="slack", workspace="T1", account=f"U{number}", name=payload)
            await stage.directory.link(ada.id, account)
            workspace = SlackInstallation(f"T{number}", payload, None, "U0", (payload,), ada.id, now)
            await stage.slack.installations.put(workspace)
        await stage.governance.switch.engage(ada, PAYLOADS[0])
        async with await Database.open(stage.settings.database_address) as database:
            for payload in PAYLOADS:
                await SecretRows(database).put(f"secret/{payload}", b"sealed")
        async with signed_in(browser, stage, ada) as page:
            watched = Watched(page, stage.url)
            for path in (
                "/s/s/changes",
                "/s/s/checks",
                "/s/s/artifacts",
                "/account",
                "/admin",
                "/admin?before=12",
                "/admin/slack",
            ):
                await watched.look(path)
            for made in files[1:3]:
                await page.goto(f"{stage.url}/s/s/artifacts/{made.artifact_id}")
                refuted(
                    await page.evaluate("window.pwned") is None, f"a {made.media_type} of the agent's ran"
                )


def patch(payload: str) -> dict[str, object]:
    """A changed file that is called so, was called so, and says so."""
    lines = payload.splitlines() or [payload]
    body = "".join(f"+{line}\n" for line in lines)
    text = f"--- {payload}\n+++ {payload}\n@@ -0,0 +1,{len(lines)} @@ {payload}\n{body}"
    return {"path": f"{payload}.html", "old_path": payload, "status": payload, "patch": text, "insertions": 1}


def check() -> e.CheckResult:
    """A check that failed."""
    return e.CheckResult(command="x", verdict="failed", exit_code=1, output="x")


def kinds() -> Iterable[tuple[str, str]]:
    """Files that a browser would run if told what they are, and some that are called as the payloads."""
    page = "<!doctype html><script>window.pwned=1</script>"
    yield page, "text/html"
    yield f'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">{page[15:]}</html>', "text/xml"
    yield from ((payload, "image/png") for payload in PAYLOADS)


def audited(payload: str) -> AuditEntry:
    """Something on record that says the payload wherever a row can."""
    return AuditEntry(
        actor=payload[:255],
        action="egress.request",
        target=payload,
        outcome="refused",
        detail={payload: payload},
    )
