"""The broker: the only process that holds credentials, and everything that stands behind its socket."""

from __future__ import annotations

import asyncio
import pwd
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from deploy.core import Core
from deploy.credentials import forges, github_accounts, github_oauth, slack_oauth, vault_over
from deploy.secret_key import secret_key
from deploy.state_directory import claim
from sandbox.agent.model_catalogue import load_models
from sandbox.agent.provider_client import provider_client
from sandbox.broker.accounts import GitHubAccounts
from sandbox.broker.audio_desk import AudioDesk, Unheard
from sandbox.broker.budgets import BudgetDesk, budget_operations
from sandbox.broker.carried_work import CarriedWork
from sandbox.broker.client import KINDS
from sandbox.broker.desk import DeskParts, ForgeDesk, StorePlaces
from sandbox.broker.door.addresses import Resolver, resolve
from sandbox.broker.door.doors import Doors
from sandbox.broker.door.parts import DoorParts, EgressSpent
from sandbox.broker.door_desk import DoorDesk
from sandbox.broker.gateway import ModelGateway, Provider, gateway_routes
from sandbox.broker.git_http import GitDoorParts, GitThroughDoor
from sandbox.broker.github_sign_in import GitHubSignIn
from sandbox.broker.letting_go import LettingGo
from sandbox.broker.operations import Operation, Part, application
from sandbox.broker.people_desk import GrantGone, LinkedAccounts, PeopleDesk
from sandbox.broker.presence import presence
from sandbox.broker.refused_pushes import RefusedPushes
from sandbox.broker.rights import Rights
from sandbox.broker.secret_desk import SecretDesk, StoredSecrets
from sandbox.broker.slack_desk import SLACK_KINDS, SlackDesk
from sandbox.broker.socket_server import serving
from sandbox.broker.vault import Vault, VaultError
from sandbox.certificates import system_authorities
from session.anchors import Anchors
from session.log import NoSuchSession
from session.saved_work import SavedWork
from session.settings import Settings, SettingsError, parted
from session.spending import BudgetUsedUp, Spending
from session.transcripts import CLIP_SECONDS

_NO_KEY = (
    "OPENAI_API_KEY is missing: the model is asked with it. Example: OPENAI_API_KEY=sk-…; any "
    "OpenAI-compatible endpoint will do (OPENAI_BASE_URL)"
)
_REFUSALS: Mapping[type[Exception], str] = {
    **KINDS,
    GrantGone: "grant_gone",
    Unheard: "unheard",
    VaultError: "vault",
    NoSuchSession: "no_such_session",
    **SLACK_KINDS,
}

Network = IPv4Network | IPv6Network
PARTS: Mapping[str, Part] = {"bot": "bot", "web": "web", "worker": "worker"}


@asynccontextmanager
async def broker(core: Core, resolver: Resolver = resolve) -> AsyncIterator[None]:
    """Serves the broker as long as the context. `resolver`: where the doors look up what hosts lead to.

    Raises: SettingsError, ForgeError.
    """
    settings = core.settings
    if not settings.openai_api_key:
        raise SettingsError(_NO_KEY)
    claim(settings)
    async with AsyncExitStack() as stack:
        vault, accounts = vault_over(settings, core.secrets), github_accounts(core)
        secrets = StoredSecrets(vault)
        places = StorePlaces.under(settings.bellhop_home)
        desk = _forge_desk(core, accounts, places)
        sign_in = GitHubSignIn(github_oauth(settings), settings.github_api_url)
        people = PeopleDesk(sign_in, accounts, core.directory, core.audit)
        stack.push_async_callback(people.aclose)
        budgets = BudgetDesk(Spending(core.database), core.log, core.catalogue, settings.session_budget_usd)
        doors = Doors(settings.bellhop_home / "doors", _door_parts(core, secrets, desk, budgets, resolver))
        stack.push_async_callback(doors.aclose)
        await doors.restore()
        provider = Provider(settings.openai_base_url, settings.openai_api_key)
        gateway = await stack.enter_async_context(
            ModelGateway(provider, load_models(), budgets, core.audit, core.switch)
        )
        asked = await stack.enter_async_context(
            provider_client(settings.openai_base_url, settings.openai_api_key, timeout_seconds=CLIP_SECONDS)
        )
        on_servers, refusals = _tool_servers(core, secrets)
        operations = [
            presence(),
            *desk.operations(),
            *people.operations(),
            *SecretDesk(vault, core.audit).operations(),
            *_slack_desk(core, vault).operations(),
            *DoorDesk(doors).operations(),
            *budget_operations(budgets),
            *AudioDesk(asked, settings.transcription_model, core.audit, core.switch).operations(),
            *on_servers,
        ]
        app = application(operations, {**_REFUSALS, **refusals}, gateway_routes(gateway))
        await stack.enter_async_context(serving(app, settings.broker_address, clients(settings)))
        anchors = Anchors(core.audit, settings.anchors_file, secret_key(settings).encode())
        anchoring = asyncio.create_task(anchors.run(), name="audit anchors")
        stack.callback(anchoring.cancel)
        if settings.saved_work_days:
            kept = timedelta(days=settings.saved_work_days)
            letting_go = LettingGo(SavedWork(core.database), places.quarantines, kept)
            stack.callback(asyncio.create_task(letting_go.run(), name="saved work").cancel)
        yield


def _slack_desk(core: Core, vault: Vault) -> SlackDesk:
    teams = parted(core.settings.slack_teams)
    return SlackDesk(slack_oauth(core.settings), teams, vault, core.database, core.directory, core.audit)


def _forge_desk(core: Core, accounts: GitHubAccounts, places: StorePlaces) -> ForgeDesk:
    linked = LinkedAccounts(core.directory, accounts)
    return ForgeDesk(
        DeskParts(
            log=core.log,
            catalogue=core.catalogue,
            directory=core.directory,
            forges=forges(core),
            rights=Rights({"github": linked}, f"{core.settings.page_address}/account"),
            audit=core.audit,
            switch=core.switch,
            places=places,
            carried=CarriedWork(SavedWork(core.database)) if core.settings.sandbox_registry else None,
        )
    )


def _door_parts(
    core: Core, secrets: StoredSecrets, desk: ForgeDesk, budgets: BudgetDesk, resolver: Resolver
) -> DoorParts:
    git = GitThroughDoor(
        GitDoorParts(
            catalogue=core.catalogue,
            repository=desk.repository,
            refresh=desk.refresh,
            hooks=core.settings.bellhop_home / "hooks",
            tell=RefusedPushes(core.log).tell,
        )
    )

    async def spend(session_id: str, budget: str, amount: int) -> None:
        try:
            await budgets.check(session_id, "egress_bytes")
        except BudgetUsedUp as error:
            raise EgressSpent(str(error)) from error
        await budgets.spend(session_id, "egress_bytes", amount)

    return DoorParts(
        log=core.log,
        catalogue=core.catalogue,
        audit=core.audit,
        switch=core.switch,
        secrets=secrets,
        networks=networks(core.settings),
        git=git,
        spend=spend,
        ssl_context=trust(core.settings),
        resolver=resolver,
    )


def _tool_servers(
    core: Core, secrets: StoredSecrets
) -> tuple[Sequence[Operation[Any, Any]], Mapping[type[Exception], str]]:
    """The operations on tool servers and the kinds of their refusals, where the catalogue has any server."""
    if not any(repository.mcp for repository in core.catalogue.repositories):
        return [], {}
    # What it stands on takes longer to import than the rest of the broker.
    from deploy.tool_servers import MCP_KINDS, tool_servers

    return tool_servers(core, secrets, networks(core.settings), trust(core.settings)), MCP_KINDS


def clients(settings: Settings) -> Mapping[int, frozenset[Part]]:
    """Which parts each user of BROKER_CLIENTS stands for. Raises: SettingsError."""
    found: dict[int, frozenset[Part]] = {}
    for entry in parted(settings.broker_clients):
        part, _, user = entry.partition(":")
        if part not in PARTS or not user:
            raise SettingsError(
                f"BROKER_CLIENTS has {entry!r}; each entry is a part (bot, web, worker) and a user, such as "
                "worker:bellhop-worker or worker:10002"
            )
        uid = _uid(user)
        found[uid] = found.get(uid, frozenset()) | {PARTS[part]}
    return found


def _uid(user: str) -> int:
    if user.isdecimal():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError as error:
        raise SettingsError(f"BROKER_CLIENTS names the user {user}, who does not exist here") from error


def networks(settings: Settings) -> tuple[Network, ...]:
    """The networks of EGRESS_NETWORKS. Raises: SettingsError."""
    try:
        return tuple(ip_network(entry) for entry in parted(settings.egress_networks))
    except ValueError as error:
        raise SettingsError(f"EGRESS_NETWORKS: {error}. Example: EGRESS_NETWORKS=10.20.0.0/16") from error


def trust(settings: Settings) -> ssl.SSLContext:
    """How servers outside are verified: as the system does it, and with EGRESS_AUTHORITIES.

    Raises: SettingsError.
    """
    if settings.egress_authorities is None:
        return system_authorities()
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(settings.egress_authorities)
    except OSError as error:
        raise SettingsError(
            f"EGRESS_AUTHORITIES: {settings.egress_authorities} holds no certificates that can be read "
            f"({error.strerror or error}). Name a file of PEM certificates, such as "
            "EGRESS_AUTHORITIES=/etc/bellhop/company-ca.pem"
        ) from error
    return context
