"""The broker's desks for people and secrets at a real socket, over the database that the pages have too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from sandbox.broker.accounts import GitHubAccounts, GitHubOAuth
from sandbox.broker.client import KINDS
from sandbox.broker.github_sign_in import GitHubSignIn
from sandbox.broker.operations import application
from sandbox.broker.people_desk import GrantGone, PeopleDesk
from sandbox.broker.secret_desk import SecretDesk, StoredSecrets
from sandbox.broker.slack_desk import SLACK_KINDS, SlackDesk
from sandbox.broker.slack_oauth import SlackOAuth
from sandbox.broker.socket_server import serving
from sandbox.broker.vault import KeyRing, Vault
from session.audit import Audit
from session.broker import Broker
from session.database import Database
from session.directory import Directory
from session.secret_rows import SecretRows
from session.settings import Settings, parted


@dataclass(frozen=True, slots=True)
class BrokerSide:
    """What the broker keeps, for tests to look at. `way` leads to it; `stop` takes it away for good."""

    way: Broker
    accounts: GitHubAccounts
    secrets: StoredSecrets
    audit: Audit
    stop: Callable[[], Coroutine[None, None, None]]


@asynccontextmanager
async def broker_side(
    settings: Settings, database: Database, directory: Directory
) -> AsyncIterator[BrokerSide]:
    """The broker at the socket of the settings, with GitHub where they say."""
    vault = Vault(SecretRows(database), KeyRing([settings.secret_key]))
    oauth = GitHubOAuth(settings.github_url, settings.github_client_id, settings.github_client_secret)
    accounts, audit = GitHubAccounts(vault, oauth), Audit(database)
    people = PeopleDesk(GitHubSignIn(oauth, settings.github_api_url), accounts, directory, audit)
    slack = SlackOAuth(settings.slack_api_url, settings.slack_client_id, settings.slack_client_secret)
    teams = parted(settings.slack_teams)
    operations = [
        *people.operations(),
        *SecretDesk(vault, audit).operations(),
        *SlackDesk(slack, teams, vault, database, directory, audit).operations(),
    ]
    app = application(operations, {**KINDS, **SLACK_KINDS, GrantGone: "grant_gone"})
    async with AsyncExitStack() as stack:
        way = await stack.enter_async_context(Broker(settings.broker_address))
        server = await stack.enter_async_context(AsyncExitStack())
        server.push_async_callback(people.aclose)
        await server.enter_async_context(serving(app, settings.broker_address, {}))
        yield BrokerSide(way, accounts, StoredSecrets(vault), audit, server.aclose)
