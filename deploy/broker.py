"""The broker: the only process that holds credentials, and everything that stands behind its socket."""

from __future__ import annotations

import asyncio
import pwd
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import IPv4Network, IPv6Network, ip_network

from deploy.core import Core
from deploy.credentials import forges, github_accounts, github_oauth, vault_over
from deploy.secret_key import secret_key
from sandbox.broker.client import KINDS
from sandbox.broker.desk import DeskParts, ForgeDesk, StorePlaces
from sandbox.broker.door.doors import Doors
from sandbox.broker.door.parts import DoorParts
from sandbox.broker.door_desk import DoorDesk
from sandbox.broker.github_sign_in import GitHubSignIn
from sandbox.broker.operations import Part, application
from sandbox.broker.people_desk import GrantGone, LinkedAccounts, PeopleDesk
from sandbox.broker.rights import Rights
from sandbox.broker.secret_desk import SecretDesk, StoredSecrets
from sandbox.broker.socket_server import serving
from sandbox.broker.vault import VaultError
from session.anchors import Anchors
from session.settings import Settings, SettingsError, parted

Network = IPv4Network | IPv6Network
PARTS: Mapping[str, Part] = {"bot": "bot", "web": "web", "worker": "worker"}


@asynccontextmanager
async def broker(core: Core) -> AsyncIterator[None]:
    """Serves the broker as long as the context. Raises: SettingsError, ForgeError."""
    settings = core.settings
    vault = vault_over(settings, core.secrets)
    accounts = github_accounts(core)
    linked = LinkedAccounts(core.directory, accounts)
    sign_in = GitHubSignIn(github_oauth(settings), settings.github_api_url)
    people = PeopleDesk(sign_in, accounts, core.directory, core.audit)
    desk = ForgeDesk(
        DeskParts(
            log=core.log,
            catalogue=core.catalogue,
            directory=core.directory,
            forges=forges(core),
            rights=Rights({"github": linked}, f"{settings.page_address}/account"),
            audit=core.audit,
            switch=core.switch,
            places=StorePlaces.under(settings.bellhop_home),
        )
    )
    doors = Doors(
        settings.bellhop_home / "doors",
        DoorParts(
            log=core.log,
            catalogue=core.catalogue,
            audit=core.audit,
            switch=core.switch,
            secrets=StoredSecrets(vault),
            networks=networks(settings),
        ),
    )
    operations = [
        *desk.operations(),
        *people.operations(),
        *SecretDesk(vault, core.audit).operations(),
        *DoorDesk(doors).operations(),
    ]
    kinds = {**KINDS, GrantGone: "grant_gone", VaultError: "vault"}
    anchors = Anchors(core.audit, settings.anchors_file, secret_key(settings).encode())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(people.aclose)
        stack.push_async_callback(doors.aclose)
        await doors.restore()
        app = application(operations, kinds)
        await stack.enter_async_context(serving(app, settings.broker_address, clients(settings)))
        anchoring = asyncio.create_task(anchors.run(), name="audit anchors")
        stack.callback(anchoring.cancel)
        yield


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
