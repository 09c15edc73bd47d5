"""The emulated GitHub is as strict as the real one."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import jwt
import pytest
from aiohttp import web

from tests.emulators.github import GitHubEmulator
from tests.emulators.github.device_flow import GRANT_TYPE
from tests.sandbox.workbench import Workbench, git

pytestmark = pytest.mark.needs("npm")

SLUG = "acme/billing"
PULLS = f"/repos/{SLUG}/pulls"
NEW_PULL = {"title": "T", "head": "change", "base": "main", "body": "B"}


class Caller:
    """Asks the emulator as a client does."""

    def __init__(self, github: GitHubEmulator, session: aiohttp.ClientSession) -> None:
        self.github = github
        self._session = session

    async def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = None
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._session.request(
            method, self.github.api_url + path, json=body, headers=headers
        ) as answer:
            return answer.status, await answer.json()

    def assertion(self, **claims: Any) -> str:
        now = int(time.time())
        content = {"iat": now - 60, "exp": now + 500, "iss": str(self.github.app.id), **claims}
        return jwt.encode(content, self.github.app.private_key, algorithm="RS256")

    async def installation_token(self, **body: Any) -> str:
        _, installation = await self.ask("GET", f"/repos/{SLUG}/installation", token=self.assertion())
        path = f"/app/installations/{installation['id']}/access_tokens"
        status, answer = await self.ask("POST", path, body, token=self.assertion())
        assert status == 201, answer
        return str(answer["token"])


@pytest.fixture
async def github(tmp_path: Path) -> AsyncIterator[GitHubEmulator]:
    """A GitHub with a repository that has a branch `change`; the test looks at violations itself."""
    bench = Workbench.new(tmp_path / "origin")
    git(bench.path, "checkout", "--quiet", "-b", "change")
    bench.commit("Change", {"app.py": "print(1)\n"})
    git(bench.path, "checkout", "--quiet", "main")
    emulator = GitHubEmulator(tmp_path / "github")
    await emulator.start()
    await emulator.add_repository(SLUG, bench.path)
    emulator.grant("ada", SLUG, "write")
    emulator.grant("grace", SLUG, "read")
    emulator.add_user("stranger")
    yield emulator
    await emulator.aclose()


@pytest.fixture
async def caller(github: GitHubEmulator) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(github, session)


async def test_every_answer_fits_githubs_description(github: GitHubEmulator, caller: Caller) -> None:
    ada, app, token = github.user_token("ada"), caller.assertion(), await caller.installation_token()
    head = await github.branch_head(SLUG, "change") or ""
    github.add_check_run(SLUG, head, "tests", "success")
    github.grant("grace", SLUG, "write")
    asked: list[tuple[str, str, Any, str]] = [
        ("GET", "/app", None, app),
        ("GET", "/rate_limit", None, token),
        ("GET", "/user", None, ada),
        ("GET", f"/repos/{SLUG}", None, token),
        ("GET", f"/repos/{SLUG}/collaborators/ada/permission", None, token),
        ("GET", f"/repos/{SLUG}/collaborators/stranger/permission", None, token),
        ("GET", f"/repos/{SLUG}/git/ref/heads/change", None, token),
        ("GET", f"/repos/{SLUG}/commits/change/check-runs", None, token),
        ("POST", PULLS, NEW_PULL, ada),
        ("GET", PULLS, None, token),
        ("GET", f"{PULLS}/1", None, token),
        ("PATCH", f"{PULLS}/1", {"title": "Better"}, ada),
        ("POST", f"/repos/{SLUG}/issues/1/comments", {"body": "Hello"}, ada),
        ("GET", f"/repos/{SLUG}/issues/1/comments", None, token),
        ("POST", f"{PULLS}/1/reviews", {"event": "APPROVE", "body": "Good"}, github.user_token("grace")),
        ("GET", f"{PULLS}/1/reviews", None, token),
        ("PUT", f"{PULLS}/1/merge", {"sha": head}, ada),
    ]
    for method, path, body, credential in asked:
        status, answer = await caller.ask(method, path, body, token=credential)
        assert status < 300, (path, answer)
    github.assert_clean()
    assert [request.status for request in github.requests if request.status >= 300] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "why"),
    [
        ("GET", "/repos/acme/billing/stargazers", None, "no such endpoint"),
        ("POST", PULLS, {**NEW_PULL, "reviewer": "grace"}, "unknown field reviewer"),
        ("POST", PULLS, {"title": "T", "head": "change"}, "'base' is a required property"),
        ("POST", PULLS, {**NEW_PULL, "draft": "yes"}, "'yes' is not of type 'boolean'"),
        ("GET", f"{PULLS}?status=open", None, "unknown query parameter status"),
        ("GET", f"{PULLS}?state=merged", None, "'merged' is not one of"),
        ("GET", f"{PULLS}/first", None, "'first' is not of type 'integer'"),
    ],
)
async def test_what_github_does_not_know_is_a_violation(
    github: GitHubEmulator, caller: Caller, method: str, path: str, body: Any, why: str
) -> None:
    status, _ = await caller.ask(method, path, body, token=github.user_token("ada"))
    assert status in (404, 422)
    assert why in " ".join(github.violations)
    with pytest.raises(AssertionError, match="GitHub would not take"):
        github.assert_clean()


async def test_a_fault_that_no_request_meets_is_told(github: GitHubEmulator) -> None:
    github.faults.server_error("GET", "/nowhere")
    with pytest.raises(AssertionError, match="nowhere"):
        github.assert_clean()


@pytest.mark.parametrize("claims", [{"iss": "1"}, {"exp": 1}, {"exp": 4_000_000_000}, {"iat": 4_000_000_000}])
async def test_a_wrong_assertion_is_refused(
    github: GitHubEmulator, caller: Caller, claims: dict[str, Any]
) -> None:
    assert (await caller.ask("GET", "/app", token=caller.assertion(**claims)))[0] == 401
    assert (await caller.ask("GET", "/app", token=caller.assertion()))[0] == 200


async def test_a_token_does_what_it_was_made_for_and_no_more(
    github: GitHubEmulator, caller: Caller, tmp_path: Path
) -> None:
    other = Workbench.new(tmp_path / "other")
    await github.add_repository("acme/other", other.path)
    token = await caller.installation_token(repositories=["billing"], permissions={"contents": "read"})
    assert (await caller.ask("GET", f"/repos/{SLUG}/git/ref/heads/main", token=token))[0] == 200
    assert (await caller.ask("GET", "/repos/acme/other/git/ref/heads/main", token=token))[0] == 404
    assert (await caller.ask("GET", PULLS, token=token))[0] == 403
    assert (await caller.ask("POST", PULLS, NEW_PULL, token=token))[0] == 403
    assert (await caller.ask("GET", "/user", token=token))[0] == 403
    github.revoke_tokens()
    assert (await caller.ask("GET", f"/repos/{SLUG}/git/ref/heads/main", token=token))[0] == 401


async def test_more_than_the_app_was_granted_is_refused(github: GitHubEmulator, caller: Caller) -> None:
    path = f"/app/installations/{github.repository(SLUG).owner.id}/access_tokens"
    for body in ({"permissions": {"contents": "write", "workflows": "write"}}, {"repositories": ["none"]}):
        assert (await caller.ask("POST", path, body, token=caller.assertion()))[0] == 422


async def test_people_do_what_they_may(github: GitHubEmulator, caller: Caller) -> None:
    tried = {login: github.user_token(login) for login in ("stranger", "grace", "ada")}
    told = {
        login: (await caller.ask("POST", PULLS, NEW_PULL, token=token))[0] for login, token in tried.items()
    }
    assert told == {"stranger": 404, "grace": 403, "ada": 201}
    assert (await caller.ask("GET", PULLS))[0] == 404
    status, answer = await caller.ask("GET", f"{PULLS}/1", token=tried["grace"])
    assert (status, answer["user"]["login"]) == (200, "ada")


async def test_pull_requests_are_refused_as_on_github(github: GitHubEmulator, caller: Caller) -> None:
    ada = github.user_token("ada")
    assert (await caller.ask("POST", PULLS, {**NEW_PULL, "head": "nowhere"}, token=ada))[0] == 422
    assert (await caller.ask("POST", PULLS, NEW_PULL, token=ada))[0] == 201
    status, answer = await caller.ask("POST", PULLS, NEW_PULL, token=ada)
    assert status == 422
    assert answer["errors"][0]["message"] == "A pull request already exists for acme:change."
    status, answer = await caller.ask("POST", f"{PULLS}/1/reviews", {"event": "APPROVE"}, token=ada)
    assert (status, answer["errors"]) == (422, ["Can not approve your own pull request"])
    status, _ = await caller.ask("PUT", f"{PULLS}/1/merge", {"sha": "0" * 40}, token=ada)
    assert status == 409
    github.assert_clean()


async def test_git_asks_for_the_right_token(github: GitHubEmulator, caller: Caller, tmp_path: Path) -> None:
    async def push(token: str) -> int:
        credential = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        address = f"{github.clone_url(SLUG)}/info/refs?service=git-receive-pack"
        async with (
            aiohttp.ClientSession() as session,
            session.get(address, headers={"Authorization": f"Basic {credential}"}) as answer,
        ):
            return answer.status

    assert await push(await caller.installation_token(permissions={"contents": "read"})) == 403
    assert await push(await caller.installation_token(permissions={"contents": "write"})) == 200
    assert await push("ghs_" + "x" * 36) == 401


async def test_webhooks_are_signed_and_can_come_again(github: GitHubEmulator, caller: Caller) -> None:
    received: list[tuple[str, str, bytes, str]] = []

    async def receive(request: web.Request) -> web.Response:
        headers = request.headers
        received.append(
            (
                headers["X-GitHub-Event"],
                headers["X-GitHub-Delivery"],
                await request.read(),
                headers["X-Hub-Signature-256"],
            )
        )
        return web.Response(status=202)

    application = web.Application()
    application.router.add_post("/webhooks/github", receive)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        host, port = runner.addresses[0][:2]
        github.webhooks.url = f"http://{host}:{port}/webhooks/github"
        await github.open(SLUG, "ada", branch="change")
        await github.merge(SLUG, 1, "ada")
        await github.webhooks.settled()
        github.webhooks.redeliver(github.webhooks.deliveries[0])
        github.webhooks.redeliver(github.webhooks.deliveries[0], new_guid=True)
        await github.webhooks.settled()
    finally:
        await runner.cleanup()
    actions = [json.loads(body)["action"] for _, _, body, _ in received]
    assert actions == ["opened", "closed", "opened", "opened"]
    assert json.loads(received[1][2])["pull_request"]["merged"] is True
    assert received[0][1] == received[2][1] != received[3][1]
    assert all(github.webhooks.signature(body) == signature for _, _, body, signature in received)
    assert {delivery.status for delivery in github.webhooks.deliveries} == {202}
    github.assert_clean()


async def test_signing_in_takes_the_right_verifier_once(github: GitHubEmulator) -> None:
    github.sign_in_as("ada")
    verifier = "v" * 50
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    query = {
        "client_id": github.app.client_id,
        "redirect_uri": "http://127.0.0.1:1/back",
        "state": "s",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    async with aiohttp.ClientSession(headers={"Accept": "application/json"}) as session:
        authorize = f"{github.web_url}/login/oauth/authorize"
        async with session.get(authorize, params=query, allow_redirects=False) as answer:
            back = parse_qs(urlsplit(answer.headers["Location"]).query)
        assert back["state"] == ["s"]
        form = {
            "client_id": github.app.client_id,
            "client_secret": github.app.client_secret,
            "code": back["code"][0],
        }
        told = []
        for extra in ({"code_verifier": "wrong"}, {"code_verifier": verifier}, {"code_verifier": verifier}):
            address = f"{github.web_url}/login/oauth/access_token"
            async with session.post(address, data={**form, **extra}) as answer:
                told.append(await answer.json())
    assert [answer.get("error") for answer in told] == [
        "bad_verification_code",
        None,
        "bad_verification_code",
    ]
    assert told[1]["access_token"].startswith("ghu_")
    github.assert_clean()


async def test_a_device_code_is_waited_for_and_works_once(github: GitHubEmulator) -> None:
    devices = github.sign_in.devices
    devices.interval = 0
    async with aiohttp.ClientSession(headers={"Accept": "application/json"}) as session:

        async def ask(path: str, **form: str) -> dict[str, Any]:
            data = {"client_id": github.app.client_id, **form}
            async with session.post(f"{github.web_url}/login/{path}", data=data) as answer:
                told: dict[str, Any] = await answer.json()
                return told

        async def token(code: dict[str, Any], grant_type: str = GRANT_TYPE) -> dict[str, Any]:
            return await ask("oauth/access_token", device_code=code["device_code"], grant_type=grant_type)

        code = await ask("device/code")
        assert (await token(code))["error"] == "authorization_pending"
        assert (await token(code, "device_code"))["error"] == "unsupported_grant_type"
        devices.enter(code["user_code"], "ada")
        assert (await token(code))["access_token"].startswith("ghu_")
        assert (await token(code))["error"] == "incorrect_device_code"
        assert (await token({"device_code": "guessed"}))["error"] == "incorrect_device_code"

        denied, expired = await ask("device/code"), await ask("device/code")
        devices.deny(denied["user_code"])
        devices.expire(expired["user_code"])
        assert (await token(denied))["error"] == "access_denied"
        assert (await token(expired))["error"] == "expired_token"

        devices.interval = 3600
        hasty = await ask("device/code")
        slower = await token(hasty)
        assert (slower["error"], slower["interval"]) == ("slow_down", 3605)

        devices.enabled = False
        assert (await ask("device/code"))["error"] == "device_flow_disabled"
        assert (await ask("device/code", client_id="another"))["error"] == "Not Found"
    github.assert_clean()
