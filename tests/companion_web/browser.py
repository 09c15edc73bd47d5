"""A real Chromium, one for all tests of a process; each test has profiles of its own."""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from companion_web.sign_in import one_time_link
from session.directory import Directory
from session.people import Person

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--mute-audio",
    # Who connects waits for the pages that are there; of its own it would have one that still begins.
    "--no-startup-window",
)
START_SECONDS = 120.0
PATIENCE_MILLISECONDS = 60_000
"""Everything is found at once, except on a machine where everything waits for the processor. Playwright's own
limits are 30 seconds, and 5 for what is expected of a page."""

POLL_SECONDS = 0.02
PHONE, DESK = (390, 844), (1280, 900)


class Served(Protocol):
    """Companion pages that are served at `url`, to the people of `directory`."""

    @property
    def directory(self) -> Directory:
        """Who is who."""

    @property
    def url(self) -> str:
        """Where they begin."""


@asynccontextmanager
async def chromium(program: Path) -> AsyncIterator[Browser]:
    """The browser."""
    address = await asyncio.to_thread(_running, program)
    async with async_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MILLISECONDS)
        browser = await playwright.chromium.connect_over_cdp(address, timeout=2 * PATIENCE_MILLISECONDS)
        try:
            yield browser
        finally:
            # Its contexts are closed; the browser itself goes on for the next test.
            await browser.close()


@lru_cache(maxsize=1)
def _running(program: Path) -> str:
    """The address of the debugger of a browser that runs as long as this process.

    Source: Chromium's DevToolsActivePort: the port in its first line, once it listens.
    """
    profile = Path(tempfile.mkdtemp(prefix="bellhop-browser-"))
    words = [
        str(program),
        "--headless",
        *ARGUMENTS,
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
    ]
    with (profile / "log").open("wb") as log:
        # In a group of its own, so that its helpers end with it.
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    atexit.register(_end, process, profile)
    ready, deadline = profile / "DevToolsActivePort", time.monotonic() + START_SECONDS
    while not (ready.exists() and "\n" in ready.read_text()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{program.name} did not start: {(profile / 'log').read_text()[-2000:]}")
        time.sleep(POLL_SECONDS)
    return f"http://127.0.0.1:{ready.read_text().splitlines()[0]}"


def _end(process: subprocess.Popen[bytes], profile: Path) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    shutil.rmtree(profile, ignore_errors=True)


@asynccontextmanager
async def visit(
    browser: Browser,
    stage: Served,
    person: Person,
    *,
    size: tuple[int, int] = DESK,
    scheme: Literal["light", "dark"] = "light",
    scripts: bool = True,
) -> AsyncIterator[Page]:
    """A page of a fresh browser profile in which that person has signed in. It fails the test on an error
    of our scripts and on anything that the content security policy had to stop."""
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        java_script_enabled=scripts,
        has_touch=size == PHONE,
        locale="en-GB",
        timezone_id="UTC",
    )
    problems = _watch(context)
    page = await new_page(context)
    await page.goto(await one_time_link(stage.directory, stage.url, person))
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"{stage.url}/")
    yield page
    await context.close()
    assert problems == []


async def new_page(context: BrowserContext) -> Page:
    """A page of that profile, whose doings may take their time."""
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    return await context.new_page()


def _watch(context: BrowserContext) -> list[str]:
    problems: list[str] = []
    context.on("weberror", lambda error: problems.append(str(error.error)))
    context.on(
        "console",
        lambda message: problems.append(message.text) if "Content Security Policy" in message.text else None,
    )
    return problems
