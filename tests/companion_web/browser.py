"""A real Chromium, closed when the test ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, Protocol

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

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
)
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
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(program), headless=True, args=list(ARGUMENTS)
        )
        try:
            yield browser
        finally:
            await browser.close()


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
    page = await context.new_page()
    await page.goto(await one_time_link(stage.directory, stage.url, person))
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"{stage.url}/")
    yield page
    await context.close()
    assert problems == []


def _watch(context: BrowserContext) -> list[str]:
    problems: list[str] = []
    context.on("weberror", lambda error: problems.append(str(error.error)))
    context.on(
        "console",
        lambda message: problems.append(message.text) if "Content Security Policy" in message.text else None,
    )
    return problems
