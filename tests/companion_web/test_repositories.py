"""The page of repositories: their images, what builds said, and a build that an admin asks for."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from session.image_builds import ImageBuilds, Made
from session.image_requests import QUEUE_AWAY
from tests.companion_web.browser import DESK, PHONE, visit
from tests.companion_web.stage import Stage

MADE = Made("acme/web", "local:1", "abcdef0123456789" * 2 + "01234567", "0a1b2c3d", "recipe", "base")
HOSTILE = "\x1b[31mred\x1b[0m <img src=x onerror=alert(1)> https://example.com\n"


async def ready(builds: ImageBuilds, size_bytes: int = 3 * 1024**3) -> str:
    """A build that made an image."""
    build_id = await builds.begin(MADE)
    await builds.tell(build_id, f"$ make\n{HOSTILE}")
    await builds.ready(build_id, "bellhop/repo-acme-web-1a2b3c4d:abcdef012345-0a1b2c3d", 1, size_bytes, None)
    return build_id


async def test_everybody_sees_repositories_with_their_images_and_logs(stage: Stage) -> None:
    builds = stage.images.builds
    first = await ready(builds)
    failed = await builds.begin(MADE)
    await builds.fail(failed, "Its set-up command `make` failed <b>aloud</b>", passing=False)
    async with stage.client(await stage.person("Grace", "viewer")) as client:
        assert 'href="/repositories"' in (await client.get("/")).text
        page = (await client.get("/repositories")).text
        assert page.count("No image yet") == 2
        assert "3.0 GB" in page
        assert "failed &lt;b&gt;aloud&lt;/b&gt;" in page
        assert f'href="/repositories/builds/{failed}"' in page
        assert "Build now" not in page, "this is for admins"
        one = (await client.get(f"/repositories/builds/{first}")).text
        assert "&lt;img src=x onerror=alert(1)&gt;" in one
        assert '<span class="f1">red</span>' in one
        assert "bellhop/repo-acme-web-1a2b3c4d:abcdef012345-0a1b2c3d" in one
        assert f'href="/repositories/builds/{failed}"' in one, "the repository's other builds"
        part = (await client.get(f"/repositories/builds/{first}?part=1")).text
        assert part.lstrip().startswith('<article id="build"')
        assert (await client.get("/repositories/builds/none")).status_code == 404
        refused = await client.post("/repositories/build", slug="acme/web")
        assert (refused.status_code, "Only admins" in refused.text) == (403, True)


async def test_an_admin_is_told_when_no_worker_can_be_rung_for(stage: Stage) -> None:
    async with stage.client(await stage.person("Ada", "admin")) as client:
        page = (await client.get("/repositories")).text
        assert page.count("Build now") == 3
        answer = await client.post("/repositories/build", page="/repositories", slug="ACME/web")
        assert (answer.status_code, QUEUE_AWAY in answer.text) == (409, True)
        unknown = await client.post("/repositories/build", page="/repositories", slug="acme/wep")
        assert (unknown.status_code, "Did you mean acme/web?" in unknown.text) == (404, True)
        foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        token = await client.csrf("/repositories")
        data = {"csrf": token, "slug": "acme/web"}
        assert (await client.http.post("/repositories/build", data=data, headers=foreign)).status_code == 403
        assert "Asked for" in (await client.get("/repositories?asked=acme/web")).text


@pytest.mark.needs("chromium")
async def test_a_build_is_followed_and_the_pages_fit_a_phone_and_a_desk(
    stage: Stage, browser: Browser
) -> None:
    builds = stage.images.builds
    await ready(builds)
    build_id = await builds.begin(MADE)
    ada = await stage.person("Ada Lovelace of the Analytical Engine", "admin")
    async with stage.serve():
        for size in (PHONE, DESK):
            async with visit(browser, stage, ada, size=size) as page:
                for path in ("/repositories", f"/repositories/builds/{build_id}"):
                    await page.goto(f"{stage.url}{path}")
                    over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                    assert await page.evaluate(over) <= 0, (path, size)
        async with visit(browser, stage, ada) as page:
            await page.goto(f"{stage.url}/repositories/builds/{build_id}")
            await expect(page.locator("#build")).to_contain_text("It has said nothing yet.")
            await builds.tell(build_id, "$ make\nhalf of it\n")
            await expect(page.locator("#build .output")).to_contain_text("half of it")
            await builds.fail(build_id, "make ended with 1", passing=False)
            await expect(page.locator("#build .pill")).to_have_text("Not built")
