"""Credentials: where they lie, and what is opened with them; for the broker's process and `doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deploy.core import Core
from deploy.secret_key import secret_key
from sandbox.broker.accounts import GitHubAccounts, GitHubOAuth
from sandbox.broker.slack_oauth import SlackOAuth
from sandbox.broker.vault import KeyRing, Vault
from sandbox.forge import create as create_forge
from sandbox.forge.protocol import Forge, ForgeError
from session.secret_rows import SecretRows
from session.settings import Settings, parted


def vault_over(settings: Settings, rows: SecretRows) -> Vault:
    """Where credentials lie sealed. Raises: SettingsError, VaultError, without a key that can open it."""
    return Vault(rows, KeyRing([secret_key(settings), *parted(settings.former_secret_keys)]))


def github_accounts(core: Core) -> GitHubAccounts:
    """People's GitHub accounts, their tokens sealed in the vault. Raises: SettingsError, without its key."""
    return GitHubAccounts(vault_over(core.settings, core.secrets), github_oauth(core.settings))


def github_oauth(settings: Settings) -> GitHubOAuth:
    """The App's client at GitHub."""
    return GitHubOAuth(settings.github_url, settings.github_client_id, settings.github_client_secret)


def slack_oauth(settings: Settings) -> SlackOAuth:
    """The Slack app's client."""
    return SlackOAuth(settings.slack_api_url, settings.slack_client_id, settings.slack_client_secret)


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
