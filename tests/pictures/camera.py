"""Pictures of pages, taken with a real Chromium."""

from __future__ import annotations

import re
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, Page

from companion_web.sign_in import one_time_link
from tests.companion_web.browser import new_page
from tests.journeys.house import House, Member

BUILD = Path(__file__).parents[2] / "build" / "pictures"
PHONE, DESK = (390, 932), (1280, 960)
SHARPNESS = {PHONE: 1.5, DESK: 1.25}
"""Pixels of the picture for one of the page: sharp on a README, and quick to load."""

_LARGEST_BYTES = 400_000


@asynccontextmanager
async def sight(
    browser: Browser, size: tuple[int, int] = DESK, scheme: Literal["light", "dark"] = "light"
) -> AsyncIterator[Page]:
    """An empty page of a fresh browser profile."""
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        device_scale_factor=SHARPNESS[size],
        color_scheme=scheme,
        has_touch=size == PHONE,
        is_mobile=size == PHONE,
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
    )
    yield await new_page(context)
    await context.close()


@asynccontextmanager
async def visit(
    browser: Browser,
    house: House,
    member: Member,
    size: tuple[int, int] = DESK,
    scheme: Literal["light", "dark"] = "light",
) -> AsyncIterator[Page]:
    """The list of sessions, as that person sees it who has signed in."""
    link = await one_time_link(house.core.directory, house.url, await member.person())
    async with sight(browser, size, scheme) as page:
        await page.goto(link)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(re.compile(r"/$"))
        yield page


async def take(page: Page, name: str, selector: str | None = None) -> Path:
    """The picture `build/pictures/<name>.png`, of the element or of what the window shows.

    Raises: AssertionError, when the page is wider than its window, or the file is no PNG of that size or is
    too large to be loaded with a README.
    """
    await page.evaluate("document.fonts.ready")
    width = await page.evaluate("window.innerWidth")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways"
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / f"{name}.png"
    if selector is None:
        await page.screenshot(path=path)
        expected = (width, await page.evaluate("window.innerHeight"))
    else:
        box = await page.locator(selector).bounding_box()
        assert box is not None, f"{name} shows nothing"
        await page.locator(selector).screenshot(path=path)
        expected = (box["width"], box["height"])
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    size = struct.unpack(">II", content[16:24])
    sharpness = await page.evaluate("window.devicePixelRatio")
    off = [abs(found - wanted * sharpness) for found, wanted in zip(size, expected, strict=True)]
    assert max(off) <= 2, f"{name} is {size}, not {expected} at {sharpness}"
    assert 10_000 < len(content) < _LARGEST_BYTES, f"{name} has {len(content)} bytes"
    return path
