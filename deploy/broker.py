"""The broker: the only process that holds credentials, and everything that stands behind its socket."""

from __future__ import annotations

import pwd
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from deploy.core import Core
from deploy.secret_key import secret_key
from sandbox.broker.accounts import GitHubAccounts, GitHubOAuth
from sandbox.broker.client import KINDS
from sandbox.broker.desk import DeskParts, ForgeDesk, StorePlaces
from sandbox.broker.github_sign_in import GitHubSignIn
from sandbox.broker.operations import Part, application
from sandbox.broker.people_desk import GrantGone, LinkedAccounts, PeopleDesk
from sandbox.broker.rights import Rights
from sandbox.broker.secret_desk import SecretDesk
from sandbox.broker.socket_server import serving
from sandbox.broker.vault import KeyRing, Vault, VaultError
from sandbox.forge import create as create_forge
from sandbox.forge.protocol import Forge, ForgeError
from session.settings import Settings, SettingsError

Network = IPv4Network | IPv6Network
PARTS: Mapping[str, Part] = {"bot": "bot", "web": "web", "worker": "worker"}


@asynccontextmanager
async def broker(core: Core) -> AsyncIterator[None]:
    """Serves the broker as long as the context. Raises: SettingsError, ForgeError."""
    settings = core.settings
    vault = open_vault(core)
    accounts = github_accounts(core)
    linked = LinkedAccounts(core.directory, accounts)
    sign_in = GitHubSignIn(_oauth(settings), settings.github_api_url)
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
    operations = [
        *desk.operations(),
        *people.operations(),
        *SecretDesk(vault, core.audit).operations(),
    ]
    kinds = {**KINDS, GrantGone: "grant_gone", VaultError: "vault"}
    async with AsyncExitStack() as stack:
        stack.push_async_callback(people.aclose)
        app = application(operations, kinds)
        await stack.enter_async_context(serving(app, settings.broker_address, clients(settings)))
        yield


def open_vault(core: Core) -> Vault:
    """Where credentials lie sealed. Raises: SettingsError, VaultError, without a key that can open it."""
    keys = [secret_key(core.settings), *_parted(core.settings.former_secret_keys)]
    return Vault(core.secrets, KeyRing(keys))


def github_accounts(core: Core) -> GitHubAccounts:
    """People's GitHub accounts, their tokens sealed in the vault. Raises: SettingsError, without its key."""
    return GitHubAccounts(open_vault(core), _oauth(core.settings))


def _oauth(settings: Settings) -> GitHubOAuth:
    return GitHubOAuth(settings.github_url, settings.github_client_id, settings.github_client_secret)


def clients(settings: Settings) -> Mapping[int, frozenset[Part]]:
    """Which parts each user of BROKER_CLIENTS stands for. Raises: SettingsError."""
    found: dict[int, frozenset[Part]] = {}
    for entry in _parted(settings.broker_clients):
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
        return tuple(ip_network(entry) for entry in _parted(settings.egress_networks))
    except ValueError as error:
        raise SettingsError(f"EGRESS_NETWORKS: {error}. Example: EGRESS_NETWORKS=10.20.0.0/16") from error


def forges(core: Core) -> Mapping[str, Forge]:
    """The forges that the catalogue's repositories live on, by name.

    Raises: ForgeError, when a setting of one is missing or malformed.
    """
    names = sorted({repository.forge for repository in core.catalogue.repositories})
    return {name: open_forge(name, core.settings) for name in names}


def open_forge(name: str, settings: Settings) -> Forge:
    """The forge of that name. Raises: ForgeError."""
    known = ("GITHUB_API_URL", "GITHUB_URL", "GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY")
    values = {setting: str(getattr(settings, setting.lower())) for setting in known}
    if name == "github":
        values["GITHUB_APP_PRIVATE_KEY"] = _pem(settings.github_app_private_key)
    # The local forge has no pages of its own; the companion pages show its pull requests.
    values["LOCAL_FORGE_WEB_URL"] = f"{settings.page_address}/forge"
    return create_forge(name, directory=settings.bellhop_home / "forge" / name, settings=values)


def _pem(key: str) -> str:
    """The key itself, where the setting is the path of its file; the setting's value is never shown."""
    if not key or key.lstrip().startswith("-----BEGIN"):
        return key
    try:
        return Path(key).expanduser().read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ForgeError(
            "GITHUB_APP_PRIVATE_KEY is neither PEM text nor the path of a file that this user can read "
            f"({why}). Download a key on the GitHub App's page and let the setting be the path of its file"
        ) from error


def _parted(setting: str) -> list[str]:
    return [part.strip() for part in setting.split(",") if part.strip()]
