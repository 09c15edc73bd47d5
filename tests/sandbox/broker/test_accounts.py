"""People's tokens: linked through GitHub's own flow, refreshed once, given as credentials."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from sandbox.broker.accounts import GitHubAccounts, GitHubOAuth, UserTokens
from sandbox.broker.vault import KeyRing, Vault
from sandbox.forge.protocol import ForgeRefused, ForgeUnavailable, NotLinked
from tests.emulators.github import GitHubEmulator
from tests.sandbox.broker.conftest import MemoryStore

pytestmark = pytest.mark.needs("npm")

VERIFIER = "v" * 43
CALLBACK = "http://127.0.0.1:1/callback"
TOKEN_PATH = "/login/oauth/access_token"


class Clock:
    """The time, moved forward by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def github(tmp_path: Path) -> AsyncIterator[GitHubEmulator]:
    async with GitHubEmulator(tmp_path / "github") as emulator:
        emulator.add_user("ada")
        emulator.sign_in_as("ada")
        yield emulator


@pytest.fixture
def oauth(github: GitHubEmulator, clock: Clock) -> GitHubOAuth:
    return GitHubOAuth(github.web_url, github.app.client_id, github.app.client_secret, clock=clock)


@pytest.fixture
def accounts(store: MemoryStore, oauth: GitHubOAuth, clock: Clock) -> GitHubAccounts:
    return GitHubAccounts(Vault(store, KeyRing(["k" * 40])), oauth, clock=clock)


async def code(github: GitHubEmulator) -> str:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    query = {"client_id": github.app.client_id, "redirect_uri": CALLBACK, "state": "s"}
    query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{github.web_url}/login/oauth/authorize", params=query, allow_redirects=False) as answer,
    ):
        return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]


async def linked(github: GitHubEmulator, oauth: GitHubOAuth, accounts: GitHubAccounts) -> UserTokens:
    tokens = await oauth.exchange(await code(github), VERIFIER, CALLBACK)
    tokens = tokens.model_copy(update={"login": "ada"})
    await accounts.link("person-1", tokens)
    return tokens


def refreshes(github: GitHubEmulator) -> int:
    return sum(token.spent for token in github.world.refresh_tokens.values())


async def test_a_linked_person_has_a_credential(
    github: GitHubEmulator, oauth: GitHubOAuth, accounts: GitHubAccounts, store: MemoryStore
) -> None:
    tokens = await linked(github, oauth, accounts)
    credential = await accounts.credential("person-1")
    assert credential is not None
    assert (credential.login, credential.token) == ("ada", tokens.access_token)
    assert tokens.access_token not in repr(credential)
    assert tokens.access_token not in repr(tokens)
    assert await accounts.login("person-1") == "ada"
    assert await accounts.credential("person-2") is None
    assert tokens.access_token.encode() not in b"".join(store.rows.values())


async def test_a_code_works_once(github: GitHubEmulator, oauth: GitHubOAuth) -> None:
    first = await code(github)
    await oauth.exchange(first, VERIFIER, CALLBACK)
    with pytest.raises(ForgeRefused, match="code"):
        await oauth.exchange(first, VERIFIER, CALLBACK)


async def test_a_token_about_to_run_out_is_refreshed_once_by_many(
    github: GitHubEmulator, oauth: GitHubOAuth, accounts: GitHubAccounts, clock: Clock
) -> None:
    tokens = await linked(github, oauth, accounts)
    clock.ahead = 8 * 3600 - 60
    found = await asyncio.gather(*(accounts.credential("person-1") for _ in range(8)))
    assert len({credential.token for credential in found if credential}) == 1
    assert found[0] is not None
    assert found[0].token != tokens.access_token
    assert refreshes(github) == 1


async def test_a_refused_token_is_renewed_once(
    github: GitHubEmulator, oauth: GitHubOAuth, accounts: GitHubAccounts
) -> None:
    await linked(github, oauth, accounts)
    refused = await accounts.credential("person-1")
    assert refused is not None
    first, second = await asyncio.gather(*(accounts.renewed("person-1", refused) for _ in range(2)))
    assert first == second != refused
    assert refreshes(github) == 1


async def test_a_spent_refresh_token_means_link_again(
    github: GitHubEmulator, oauth: GitHubOAuth, accounts: GitHubAccounts, clock: Clock
) -> None:
    tokens = await linked(github, oauth, accounts)
    await oauth.refresh(tokens)
    with pytest.raises(NotLinked, match="ada"):
        await oauth.refresh(tokens)
    clock.ahead = 9 * 3600
    assert await accounts.credential("person-1") is None
    assert await accounts.login("person-1") is None


async def test_a_cancelled_caller_does_not_lose_the_new_token(
    github: GitHubEmulator, oauth: GitHubOAuth, accounts: GitHubAccounts, clock: Clock
) -> None:
    await linked(github, oauth, accounts)
    clock.ahead = 9 * 3600
    caller = asyncio.create_task(accounts.credential("person-1"))
    async with asyncio.timeout(60):
        while refreshes(github) == 0:  # noqa: ASYNC110
            await asyncio.sleep(0)
    caller.cancel()
    # Who comes next waits for the same lock, finds the new token kept, and does not spend another.
    clock.ahead = 9 * 3600 - 60
    credential = await accounts.credential("person-1")
    assert credential is not None
    assert refreshes(github) == 1


async def test_wrong_client_credentials_are_told(github: GitHubEmulator) -> None:
    oauth = GitHubOAuth(github.web_url, github.app.client_id, "wrong")
    with pytest.raises(ForgeRefused, match="GITHUB_CLIENT_SECRET"):
        await oauth.exchange("ada", "c", CALLBACK)


async def test_a_github_that_is_down_keeps_the_link(
    oauth: GitHubOAuth, github: GitHubEmulator, store: MemoryStore, clock: Clock
) -> None:
    accounts = GitHubAccounts(
        Vault(store, KeyRing(["k" * 40])), GitHubOAuth("http://127.0.0.1:1", "a", "b"), clock=clock
    )
    await linked(github, oauth, accounts)
    clock.ahead = 9 * 3600
    with pytest.raises(ForgeUnavailable):
        await accounts.credential("person-1")
    assert await accounts.login("person-1") == "ada"


async def test_unlinking_forgets(
    github: GitHubEmulator, oauth: GitHubOAuth, accounts: GitHubAccounts, store: MemoryStore
) -> None:
    await linked(github, oauth, accounts)
    await accounts.unlink("person-1")
    assert store.rows == {}
