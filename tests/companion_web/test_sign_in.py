"""Who gets in, by which door, and who does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from companion_web.app import create_app
from companion_web.door import local_path
from companion_web.sign_in import one_time_link, owner
from session.directory import LINK_PURPOSE
from session.people import Identity
from tests.companion_web.github_pages import CLIENT_ID, CLIENT_SECRET, GitHubPages, github_pages
from tests.companion_web.stage import CATALOGUE, Browserlike, Stage
from tests.companion_web.stage import stage as open_stage

SAME = {"Sec-Fetch-Site": "same-origin"}


@asynccontextmanager
async def with_github(directory: Path, **env: str) -> AsyncIterator[tuple[Stage, GitHubPages]]:
    async with github_pages() as github:
        addresses = {"GITHUB_URL": github.url, "GITHUB_API_URL": f"{github.url}/api"}
        client = {"GITHUB_CLIENT_ID": CLIENT_ID, "GITHUB_CLIENT_SECRET": CLIENT_SECRET}
        async with open_stage(directory, {**addresses, **client, **env}) as stage:
            yield stage, github


async def through_github(client: Browserlike, target: str = "/") -> httpx.Response:
    """Go to GitHub, agree, and come back."""
    away = await client.get(f"/sign-in/github?next={target}")
    assert away.status_code == 303
    async with httpx.AsyncClient(timeout=60) as browser:
        back = await browser.get(away.headers["location"])
    return await client.get(back.headers["location"])


async def test_a_link_signs_in_once(stage: Stage) -> None:
    link = await one_time_link(stage.directory, stage.url, await owner(stage.directory, "Ada"))
    path = link.removeprefix(stage.url)
    async with stage.client(None) as client, stage.client(None) as second:
        for _ in range(3):  # previews and scanners may look at it as often as they like
            assert "Press the button" in (await client.get(path)).text
        await client.sign_in(link)
        assert "Ada" in (await client.get("/")).text
        ticket = httpx.URL(link).params["ticket"]
        again = await second.http.post(
            "/sign-in/link", data={"ticket": ticket}, headers={"Origin": stage.url, **SAME}
        )
    assert again.status_code == 403
    assert "has been used" in again.text
    assert "set-cookie" not in again.headers


async def test_the_owner_is_an_admin(stage: Stage) -> None:
    person = await owner(stage.directory, "Ada")
    assert await stage.directory.role(person.id) == "admin"
    assert (await owner(stage.directory, "Ada")).id == person.id


@pytest.mark.parametrize("ticket", ["", "guess", "x" * 500])
async def test_a_guessed_link_signs_nobody_in(stage: Stage, ticket: str) -> None:
    async with stage.client(None) as client:
        answer = await client.http.post(
            "/sign-in/link", data={"ticket": ticket}, headers={"Origin": stage.url, **SAME}
        )
    assert answer.status_code == 403


async def test_other_sites_cannot_sign_a_browser_in(stage: Stage) -> None:
    link = await one_time_link(stage.directory, stage.url, await stage.person("Mallory"))
    ticket = httpx.URL(link).params["ticket"]
    async with stage.client(None) as client:
        answer = await client.http.post(
            "/sign-in/link", data={"ticket": ticket}, headers={"Origin": "https://evil.example"}
        )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_signing_out(stage: Stage) -> None:
    async with stage.client(await stage.person("Ada")) as client:
        foreign = await client.http.post("/sign-out", headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403
        assert (await client.get("/")).status_code == 200
        await client.post("/sign-out")
        assert (await client.get("/")).status_code == 303


@pytest.mark.parametrize("spoilt", ["", "x", "{}", "eyJwZXJzb25faWQiOiJ4In0.aaaa.bbbb"])
async def test_a_cookie_of_another_make_is_nobody(stage: Stage, spoilt: str) -> None:
    async with stage.client(None) as client:
        answer = await client.http.get("/", headers={"Cookie": f"bellhop={spoilt}"})
    assert answer.status_code == 303


async def test_a_cookie_under_another_key_is_nobody(stage: Stage) -> None:
    ada = await stage.person("Ada")
    async with stage.client(ada) as client:
        cookie = client.http.cookies["bellhop"]
    app = application(stage, "another key")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=stage.url) as http:
        answer = await http.get("/", headers={"Cookie": f"bellhop={cookie}"})
    assert answer.status_code == 303


def application(stage: Stage, secret_key: str) -> Starlette:
    return create_app(
        stage.settings,
        stage.log,
        stage.commands,
        stage.directory,
        stage.artifacts,
        stage.pulse,
        CATALOGUE,
        stage.governance,
        _healthy,
        images=stage.images,
        warming=stage.warming,
        customs=stage.customs,
        slack=stage.slack,
        secret_key=secret_key,
    )


async def _healthy() -> dict[str, str | None]:
    return {}


async def test_cookies_are_host_bound_on_https(tmp_path: Path) -> None:
    async with (
        open_stage(tmp_path, {"PUBLIC_URL": "https://bellhop.example.com"}) as stage,
        stage.client(await stage.person("Ada")) as client,
    ):
        cookie = next(iter(client.http.cookies.jar))
        page = await client.get("/")
    assert (cookie.name, cookie.secure, cookie.path) == ("__Host-bellhop", True, "/")
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert "strict-transport-security" in page.headers


async def test_without_a_key_there_is_no_application(stage: Stage) -> None:
    with pytest.raises(ValueError, match="SECRET_KEY"):
        application(stage, "")


@pytest.mark.parametrize(
    ("env", "member_of"),
    [
        ({"ALLOWED_LOGINS": "grace, Ada"}, set[str]()),
        ({"ALLOWED_ORGANISATIONS": "other,acme"}, {"acme"}),
    ],
)
async def test_github_lets_in_whom_a_list_names(
    tmp_path: Path, env: dict[str, str], member_of: set[str]
) -> None:
    async with with_github(tmp_path, **env) as (stage, github), stage.client(None) as client:
        github.organisations = member_of
        answer = await through_github(client, "/account")
        assert (answer.status_code, answer.headers["location"]) == (303, "/account")
        assert "Pull requests are opened in the name of <b>ada</b>" in (await client.get("/account")).text
        who = await stage.directory.resolve(
            Identity(platform="github", workspace="127.0.0.1", account=str(sum(b"ada")), name="Ada")
        )
        kept = await stage.broker.accounts.credential(who.id)
    assert kept is not None
    assert kept.login == "ada"
    assert kept.token.startswith("gho_")


@pytest.mark.parametrize(
    "env", [{}, {"ALLOWED_LOGINS": "grace"}, {"ALLOWED_ORGANISATIONS": "acme"}, {"ALLOWED_LOGINS": " , "}]
)
async def test_github_keeps_everybody_else_out(tmp_path: Path, env: dict[str, str]) -> None:
    async with with_github(tmp_path, **env) as (stage, _), stage.client(None) as client:
        answer = await through_github(client)
        assert answer.status_code == 403
        assert "is not on this Bellhop" in answer.text
        assert (await client.get("/")).status_code == 303
        assert await stage.broker.audit.page(None, 10) == []


async def test_who_is_signed_in_links_their_account(tmp_path: Path) -> None:
    async with with_github(tmp_path) as (stage, _):
        ada = await stage.person("Ada")
        async with stage.client(ada) as client:
            assert (await through_github(client)).status_code == 303
        async with stage.client(await stage.person("Grace")) as client:
            taken = await through_github(client)
        linked = await stage.directory.person(ada.id)
        assert linked is not None
        assert linked.forge_login == "ada"
        assert await stage.broker.accounts.login(ada.id) == "ada"
        assert {i.platform for i in await stage.directory.identities(ada.id)} == {"console", "github"}
    assert taken.status_code == 403
    assert "already belongs to somebody else" in taken.text


async def test_logins_named_as_admins_get_in_and_are_admins(tmp_path: Path) -> None:
    async with with_github(tmp_path, ADMIN_LOGINS="Ada", ALLOWED_LOGINS="grace") as (stage, github):
        async with stage.client(None) as client:
            assert (await client.get("/admin")).status_code == 303, "to the sign-in page"
            await through_github(client)
            assert (await client.get("/admin")).status_code == 200
        github.login = "grace"
        async with stage.client(None) as client:
            await through_github(client)
            assert (await client.get("/")).status_code == 200
            assert (await client.get("/admin")).status_code == 403


async def test_a_foreign_or_replayed_return_signs_nobody_in(tmp_path: Path) -> None:
    async with (
        with_github(tmp_path, ALLOWED_LOGINS="ada") as (stage, _),
        stage.client(None) as client,
        stage.client(None) as victim,
    ):
        away = await client.get("/sign-in/github")
        async with httpx.AsyncClient(timeout=60) as browser:
            back = (await browser.get(away.headers["location"])).headers["location"]
        assert (await victim.get(back)).status_code == 403, "begun in another browser"
        assert (await client.get(back + "x")).status_code == 403, "with another state"
        assert (await client.get(back + "%C3%A4")).status_code == 403, "with a state beyond ASCII"
        assert (await client.get(back)).status_code == 303
        assert (await client.get(back)).status_code == 403, "a second time"


async def test_github_being_down_is_said(tmp_path: Path) -> None:
    async with with_github(tmp_path, ALLOWED_LOGINS="ada") as (stage, github), stage.client(None) as client:
        github.down = True
        answer = await through_github(client)
    assert answer.status_code == 502
    assert "try again later" in answer.text


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/s/1?all=1", "/s/1?all=1"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("", "/"),
        ("/a\r\nSet-Cookie: x=1", "/"),
    ],
)
def test_nobody_is_sent_elsewhere(given: str, kept: str) -> None:
    assert local_path(given) == kept


async def test_a_code_from_the_page_links_a_chat_account_once(stage: Stage) -> None:
    ada = await stage.person("Ada")
    async with stage.client(ada) as client:
        shown = await client.post("/account/code")
    code = shown.text.split("link ")[-1].split("<")[0]
    assert shown.status_code == 200
    assert await stage.directory.redeem_ticket("sign-in", code) is None, "it is good for nothing else"
    assert await stage.directory.redeem_ticket(LINK_PURPOSE, code) == ada.id
    assert await stage.directory.redeem_ticket(LINK_PURPOSE, code) is None


async def test_the_account_page_shows_the_accounts(stage: Stage) -> None:
    async with stage.client(await stage.person("Ada", "viewer")) as client:
        page = (await client.get("/account")).text
    assert "<b>console</b> Ada" in page
    assert "You can watch" in page


async def test_the_account_page_names_the_linked_login_and_unlinks_it(tmp_path: Path) -> None:
    async with with_github(tmp_path) as (stage, _):
        ada = await stage.person("Ada")
        async with stage.client(ada) as client:
            assert "Connect GitHub" in (await client.get("/account")).text
            await through_github(client)
            page = (await client.get("/account")).text
            assert "Pull requests are opened in the name of <b>ada</b>" in page
            assert "Unlink ada" in page
            done = await client.post("/account/unlink", page="/account")
            assert (done.status_code, done.headers["location"]) == (303, "/account")
            assert "Unlink" not in (await client.get("/account")).text
        assert await stage.broker.accounts.login(ada.id) is None
        person = await stage.directory.person(ada.id)
        assert person is not None
        assert person.forge_login is None


async def test_without_the_broker_nobody_signs_in_with_github_or_unlinks_and_pages_say_so(
    tmp_path: Path,
) -> None:
    async with with_github(tmp_path, ALLOWED_LOGINS="ada") as (stage, _):
        await stage.broker.stop()
        async with stage.client(None) as client:
            answer = await through_github(client)
            assert answer.status_code == 503
            assert "The broker, which holds all credentials, does not answer." in answer.text
        async with stage.client(await stage.person("Grace")) as client:
            page = await client.get("/account")
            assert page.status_code == 200
            assert "does not answer" in page.text
            refused = await client.post("/account/unlink", page="/account")
            assert refused.status_code == 503
            assert "does not answer" in refused.text
