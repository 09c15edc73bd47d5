"""Two brokers refresh one person's token, an answer is lost, a token is revoked while its owner's work runs.

Asset: people's GitHub tokens, and that nothing is done in the wrong name. Attacker: chance, or whoever can
cut a connection at the right time. Path: the refresh token, which works once: two who spend it at a time, or
one who does not hear the answer, lose the link. Control: a lock in the database that all brokers share, and
who waits for it reads what the one before got. A link that is lost all the same is said in the thread with
what to do about it, and the work is kept.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from deploy.credentials import github_accounts
from sandbox.broker.accounts import GitHubAccounts, GitHubOAuth, UserTokens
from sandbox.broker.vault import KeyRing, Vault
from sandbox.forge.protocol import ForgeUnavailable
from session.database import Database
from session.secret_rows import SecretRows
from tests.attacks.conftest import OpenHouse
from tests.attacks.frame import Control, refuted
from tests.emulators.github import GitHubEmulator
from tests.emulators.github.state import RefreshToken
from tests.emulators.slack.limits import elements_of
from tests.journeys.house import AGENT, BILLING, House, Member
from tests.journeys.steps import WHOLE

CONTROLS = (
    Control(
        "session/secret_rows.py",
        (("        await self._wait_for(name, holder)\n        try:", "        try:"),),
    ),
)
PROOF = "test_two_brokers"

TOKENS = "/login/oauth/access_token"
CARRIED = {"accept", "authorization", "content-type", "git-protocol", "www-authenticate"}
KEY = "k" * 40
PERSON = "person-1"
ASKED_AT_ONCE = 8
"""By each broker."""


@dataclass
class Between:
    """A line to GitHub at `target`. `asked`: how often tokens were asked for. `cut`: so many of the next
    of these requests are carried out, and their answers lost."""

    url: str
    target: str = ""
    cut: int = 0
    asked: int = field(default=0, init=False)

    async def carry(self, request: web.Request) -> web.StreamResponse:
        """One request there, and its answer back."""
        sent = {name: value for name, value in request.headers.items() if name.lower() in CARRIED}
        async with httpx.AsyncClient(base_url=self.target, timeout=60) as there:
            answer = await there.request(
                request.method, request.path_qs, content=await request.read(), headers=sent
            )
        if request.path == TOKENS:
            self.asked += 1
        if request.path == TOKENS and self.cut:
            self.cut -= 1
            assert request.transport is not None
            request.transport.abort()
        back = {name: value for name, value in answer.headers.items() if name.lower() in CARRIED}
        return web.Response(body=answer.content, status=answer.status_code, headers=back)


@asynccontextmanager
async def between() -> AsyncIterator[Between]:
    """The line, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = Between(f"http://127.0.0.1:{listener.getsockname()[1]}")
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", line.carry)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        try:
            yield line
        finally:
            await runner.cleanup()


def about_to_run_out(github: GitHubEmulator, login: str) -> UserTokens:
    """Tokens of someone who signed in nearly eight hours ago."""
    refresh = RefreshToken(f"ghr_{login}{len(github.world.refresh_tokens)}", github.world.users[login])
    github.world.refresh_tokens[refresh.value] = refresh
    return UserTokens(
        login=login,
        access_token=github.user_token(login),
        refresh_token=refresh.value,
        expires_at=0.0,
    )


@pytest.mark.needs("postgres", "npm")
async def test_two_brokers_refresh_once_and_both_have_the_new_token(
    postgres_database: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        github = await stack.enter_async_context(GitHubEmulator(tmp_path / "github"))
        line = await stack.enter_async_context(between())
        line.target = github.web_url
        oauth = GitHubOAuth(line.url, github.app.client_id, github.app.client_secret)
        databases = [
            await stack.enter_async_context(await Database.open(postgres_database)) for _ in range(2)
        ]
        brokers = [GitHubAccounts(Vault(SecretRows(each), KeyRing([KEY])), oauth) for each in databases]
        github.add_user("ada")
        tokens = about_to_run_out(github, "ada")
        await brokers[0].link(PERSON, tokens)
        found = await asyncio.gather(
            *(broker.credential(PERSON) for broker in brokers * ASKED_AT_ONCE), return_exceptions=True
        )
        spent = [token for token in github.world.refresh_tokens.values() if token.spent]
        refuted(
            line.asked == 1, f"the refresh token was used {line.asked} times: all but the first are refused"
        )
        refuted(len(spent) == 1, "more than one refresh token was spent")
        new = {each.token for each in found if each is not None and not isinstance(each, BaseException)}
        refuted(None not in found and len(new) == 1, "somebody was left without the new token")
        assert not [each for each in found if isinstance(each, BaseException)]
        assert new.isdisjoint({tokens.access_token})
        assert [await broker.login(PERSON) for broker in brokers] == ["ada", "ada"]

        # The answer is lost once GitHub has spent the token: GitHub's trouble at first, then known for good.
        await brokers[0].link(PERSON, about_to_run_out(github, "ada"))
        line.cut = 1
        with pytest.raises(ForgeUnavailable, match="did not answer when the tokens of ada were asked for"):
            await brokers[0].credential(PERSON)
        for broker in brokers:
            refuted(await broker.credential(PERSON) is None, "a token that GitHub has spent was handed out")


async def test_a_link_lost_in_a_run_is_said_and_the_work_is_kept(open_house: OpenHouse) -> None:
    async with AsyncExitStack() as stack:
        line = await stack.enter_async_context(between())
        through = {BILLING: {"url": f"{line.url}/{BILLING}.git"}}
        house = await stack.enter_async_context(
            open_house(settings={"GITHUB_URL": line.url}, repositories=through)
        )
        line.target = house.github.web_url
        ada, grace = await house.member("Ada"), await house.member("Grace")
        # Ada's refresh is answered, but the answer does not arrive.
        await _relinked(house, ada)
        line.cut = 1
        await _told_to_link_again(house, ada)
        assert line.asked == 2, "asked once more, and refused"
        # Grace takes Bellhop off her account at GitHub, which revokes all of her tokens.
        await _relinked(house, grace, revoked=True)
        await _told_to_link_again(house, grace)


async def _relinked(house: House, member: Member, *, revoked: bool = False) -> None:
    tokens = about_to_run_out(house.github, member.login)
    if revoked:
        assert tokens.refresh_token is not None
        house.github.world.refresh_tokens[tokens.refresh_token].spent = True
        house.github.revoke_tokens(login=member.login)
        tokens = tokens.model_copy(update={"expires_at": None})
    await github_accounts(house.core).link((await member.person()).id, tokens)


async def _told_to_link_again(house: House, member: Member) -> None:
    """The thread says so; the branch is on the forge, in nobody's name but theirs, and nothing else is."""
    house.model.script(AGENT, *WHOLE)
    thread = await member.asks("round half a cent up")
    await member.reacts("white_check_mark", await thread.hears("May I publish this?"))
    answer = await thread.hears("Half a cent is now rounded up.")
    pulls = house.github.repository(BILLING).pulls
    refuted(pulls == {}, "a pull request was opened without its author's token")
    view = await thread.view()
    assert f"connect your GitHub account on {house.url}/account" in answer.shown
    assert view.published is not None
    links = {element["url"] for element in elements_of(answer.blocks) if "url" in element}
    assert view.published.compare_url in links
    [commit] = await house.commits(BILLING, "main", view.published.branch)
    assert commit.startswith(f"{member.name}\n")
    await thread.holds_only("card", "approval", "answer")
