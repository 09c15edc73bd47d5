"""A real browser in which somebody is signed in, and a web server of the attacker's beside ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from playwright.async_api import Browser, Page

from companion_web.sign_in import one_time_link
from session.people import Person
from tests.companion_web.browser import Served, new_page


@asynccontextmanager
async def signed_in(browser: Browser, pages: Served, person: Person) -> AsyncIterator[Page]:
    """A page of a fresh profile in which that person has signed in. What the content security policy stops
    fails no test here: it is what an attack is stopped by."""
    context = await browser.new_context()
    page = await new_page(context)
    await page.goto(await one_time_link(pages.directory, pages.url, person))
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"{pages.url}/")
    yield page
    await context.close()


@asynccontextmanager
async def next_door(html: str) -> AsyncIterator[str]:
    """The address of that page, on another port of this host."""
    application = web.Application()

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=html, content_type="text/html")

    application.router.add_get("/", page)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()
