"""Another site makes the browser of somebody who is signed in send what they never asked for.

Asset: everything a signed-in person may do: approve, stop, prompt, unlink, an admin's secrets and the kill
switch. Attacker: any web page that person opens; the worst is one on a neighbouring port or host, which
browsers call the same site. Path: forms, `fetch`, images and frames, with the person's cookie. Control: every
change asks for our own origin and the sign-in's token, no GET changes anything, and no other page may frame
ours. The routes are taken from the application: a new one without an attack here fails the test.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Browser
from starlette.routing import BaseRoute, Mount, Route

from session.people import Person
from tests.attacks.browsing import next_door, signed_in
from tests.attacks.changes import API, Change, changes
from tests.attacks.frame import Control, refuted
from tests.companion_web import story
from tests.companion_web.stage import Browserlike, Stage
from tests.companion_web.stage import stage as open_stage

CONTROLS = (
    Control(
        "companion_web/door.py",
        (
            (
                "            if not same_origin(request, self._public_url):\n"
                "                return self._foreign(request, visitor)\n",
                "",
            ),
            ('if not self._token_holds(visitor, form.text("csrf")):', "if not form:"),
            (
                "if not same_origin(request, self._public_url) or not self._token_holds(visitor, token):",
                "if not token and not visitor:",
            ),
        ),
    ),
)
PROOF = "test_no_other_site"

SIGNED_BY_ITS_SENDER = {"/webhooks/github"}
"""Not for browsers: no cookie counts there, the signature does (test_webhooks)."""

BY_ORIGIN_ALONE = {"/sign-in/link", "/sign-out"}
"""No token: who signs in has none yet, and signing out harms nobody."""

READ_ONLY = "GET", "HEAD"


def routes(of: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Method and path of all there is."""
    for route in of:
        if isinstance(route, Mount):
            yield from routes(route.routes)
        elif isinstance(route, Route):
            yield from ((method, route.path) for method in route.methods or ())


def foreign(url: str) -> dict[str, dict[str, str]]:
    """What browsers say of requests that other pages make; the last ones no honest browser says."""
    where = urlsplit(url)
    port = f"{where.scheme}://{where.hostname}:{(where.port or 0) + 1}"
    return {
        "another site's form": {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        "an old browser's form": {"Origin": "https://evil.example"},
        "a neighbour's form": {"Origin": port, "Sec-Fetch-Site": "same-site"},
        "an old browser's form from a neighbour": {"Origin": port},
        "a neighbour's form that hides where it is": {"Sec-Fetch-Site": "same-site"},
        "a sandboxed frame's form": {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        "an old browser's sandboxed frame": {"Origin": "null"},
        "a host that begins like ours": {"Origin": f"{url}.evil.example"},
        "our host without its TLS, or with it": {"Origin": url.replace("http", "https", 1)},
        "an address that somebody opened": {"Sec-Fetch-Site": "none"},
        "nobody's": {},
        "one that says two things": {"Origin": url, "Sec-Fetch-Site": "cross-site"},
        "one that says two other things": {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
    }


@dataclass(frozen=True, slots=True)
class Victim:
    """Ada's browser, and an eye on the database: `version` is another after any commit."""

    person: Person
    browser: Browserlike
    eye: sqlite3.Connection

    @property
    def version(self) -> int:
        """SQLite's count of other connections' commits."""
        return int(self.eye.execute("PRAGMA data_version").fetchone()[0])

    async def send(
        self, change: Change, headers: Mapping[str, str], token: str | None, method: str = "POST"
    ) -> httpx.Response:
        """The change with those headers and that token, as a form or, for the API, as JSON."""
        http = self.browser.http
        if method in READ_ONLY:
            query = {**change.fields, "csrf": token or "", "_method": "POST"}
            override = {"X-HTTP-Method-Override": "POST", "X-CSRF-Token": token or ""}
            return await http.request(method, change.address, params=query, headers={**headers, **override})
        if change.address.startswith(API):
            sent = {**headers, **({} if token is None else {"X-CSRF-Token": token})}
            return await http.request(method, change.address, json=dict(change.fields), headers=sent)
        fields = {**change.fields, **({} if token is None else {"csrf": token})}
        return await http.request(method, change.address, data=fields, headers=headers)

    async def attacked(
        self, change: Change, what: str, headers: Mapping[str, str], token: str | None, method: str = "POST"
    ) -> None:
        """Nothing has changed afterwards: not the database, not who is signed in."""
        before = self.version
        answer = await self.send(change, headers, token, method)
        done = self.version != before or was_done(change, answer)
        refuted(not done, f"{method} {change.address} was carried out for {what}")


def was_done(change: Change, answer: httpx.Response) -> bool:
    """Whether the answer shows what no look at the database does: who is signed in, or a job rung for."""
    led = change.leads_to != "" and answer.headers.get("location") == change.leads_to
    return led or "set-cookie" in answer.headers or (change.rung != "" and change.rung in answer.text)


@asynccontextmanager
async def victim(stage: Stage, person: Person) -> AsyncIterator[Victim]:
    """That person's browser."""
    path = stage.settings.database_address.removeprefix("sqlite://")
    async with stage.client(person) as browser:
        with closing(sqlite3.connect(path)) as eye:
            yield Victim(person, browser, eye)


async def test_no_other_site_changes_anything(tmp_path: Path) -> None:
    async with open_stage(tmp_path, {"SLACK_CLIENT_ID": "123.456"}) as stage:
        ada = await stage.person("Ada", "admin")
        async with victim(stage, ada) as hers, victim(stage, ada) as elsewhere:
            own = {"Origin": stage.url, "Sec-Fetch-Site": "same-origin"}
            token, others = await hers.browser.csrf(), await elsewhere.browser.csrf()
            tokens = {"no token": None, "an empty token": "", "a guess": "0" * 16 + "." + "0" * 64}
            tokens |= {"another sign-in's token": others, "half a token": token[:40]}
            attacked = set(SIGNED_BY_ITS_SENDER)
            async for path, change in changes(stage, ada):
                for what, headers in foreign(stage.url).items():
                    await hers.attacked(change, what, headers, token)
                for what, wrong in tokens.items() if path not in BY_ORIGIN_ALONE else ():
                    await hers.attacked(change, f"our own page with {what}", own, wrong)
                for method in (*READ_ONLY, "PUT", "PATCH", "DELETE"):
                    await hers.attacked(change, "an image or a link", own, token, method)
                before = hers.version
                answer = await hers.send(change, own, token)
                done = hers.version != before or was_done(change, answer)
                assert done, f"{path} is no attack: our own page's form does nothing ({answer.status_code})"
                attacked.add(path)
        all_of_them = {path for method, path in routes(stage.app.routes) if method not in READ_ONLY}
        assert all_of_them == attacked, "every route that changes something is attacked here"


async def test_no_get_changes_anything(tmp_path: Path) -> None:
    filled = {"session_id": "s1", "artifact_id": "x", "seq:int": "7", "path:path": "x", "owner": "acme"}
    filled |= {"name": "billing", "number:int": "1", "range:path": "main...x"}
    async with open_stage(tmp_path) as stage:
        ada = await stage.person("Ada", "admin")
        await stage.session("s1", [*story.opening(), *story.start(), *story.work(), *story.finish()])
        # The stream of events has no end; test_stream reads it.
        looked_at = {path for method, path in routes(stage.app.routes) if method == "GET"}
        async with victim(stage, ada) as hers:
            for path in looked_at - {"/s/{session_id}/events"}:
                address = path
                for name, value in filled.items():
                    address = address.replace(f"{{{name}}}", value)
                before = hers.version
                answer = await hers.browser.http.get(address)
                refuted(hers.version == before, f"looking at {path} changed something")
                assert answer.status_code < 500, path


PAGE = """<form id=form method=post action="{url}/s/s1/stop"></form>
<form id=json method=post enctype="text/plain" action="{url}/api/v1/sessions">
<input name='{{"text":"x' value='"}}'></form>
<img src="{url}/s/s1/stop"><iframe src="{url}/admin/stop"></iframe>"""
SCRIPT = """url => fetch(url, {method: "POST", credentials: "include", mode: "no-cors", body: "text=x"})
  .catch(() => null)"""


@pytest.mark.needs("chromium")
async def test_a_page_next_door_in_a_real_browser(tmp_path: Path, browser: Browser) -> None:
    async with (
        open_stage(tmp_path) as stage,
        stage.serve(),
        next_door(PAGE.format(url=stage.url)) as evil,
        victim(stage, await stage.person("Ada", "admin")) as ada,
        signed_in(browser, stage, ada.person) as page,
    ):
        await stage.session("s1", [*story.opening(), *story.start()])
        before = ada.version
        for form in ("form", "json"):
            for host in ("127.0.0.1", "localhost"):
                await page.goto(evil.replace("127.0.0.1", host))
                framed = [frame.url for frame in page.frames if frame is not page.main_frame]
                refuted(not any(url.startswith(stage.url) for url in framed), "another page frames ours")
                async with page.expect_navigation(url=f"{stage.url}/**"):
                    await page.evaluate("name => document.getElementById(name).submit()", form)
                refuted(ada.version == before, f"a page on {host} sent a form that was carried out")
        await page.goto(evil)
        await page.evaluate(SCRIPT, f"{stage.url}/sessions")
        refuted(ada.version == before, "a script of another page opened a session")
