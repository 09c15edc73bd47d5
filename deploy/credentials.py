"""Where credentials are kept, and who acts with them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from companion_web.accounts import GitHubTokens
from deploy.core import Core
from deploy.secret_key import secret_key
from sandbox.broker.accounts import GitHubAccounts, GitHubOAuth, UserTokens
from sandbox.broker.vault import KeyRing, Vault
from sandbox.forge import create as create_forge
from sandbox.forge.protocol import Credential, Forge, ForgeError
from session.directory import Directory
from session.settings import Settings

T = TypeVar("T")


def github_accounts(core: Core) -> GitHubAccounts:
    """People's GitHub accounts, their tokens sealed in the vault. Raises: SettingsError, without its key."""
    settings = core.settings
    vault = Vault(core.secrets, KeyRing([secret_key(settings)]))
    oauth = GitHubOAuth(settings.github_url, settings.github_client_id, settings.github_client_secret)
    return GitHubAccounts(vault, oauth)


@dataclass(frozen=True, slots=True)
class SignInAccounts:
    """Takes tokens from the sign-in page and hands them to the vault."""

    accounts: GitHubAccounts

    async def store(self, person_id: str, tokens: GitHubTokens) -> None:
        """Keep these in place of former ones."""
        await self.accounts.link(
            person_id,
            UserTokens(
                login=tokens.login,
                access_token=tokens.access_token,
                refresh_token=tokens.refresh_token,
                expires_at=_in(tokens.expires_in),
                refresh_expires_at=_in(tokens.refresh_token_expires_in),
            ),
        )


@dataclass(frozen=True, slots=True)
class LinkedAccounts:
    """A person's GitHub account under whichever id they had when they linked it."""

    directory: Directory
    accounts: GitHubAccounts

    async def login(self, person: str) -> str | None:
        """The person's login, None when no account is linked."""
        return await self._first(person, self.accounts.login)

    async def credential(self, person: str) -> Credential | None:
        """A credential to act as the person, None when there is none."""
        return await self._first(person, self.accounts.credential)

    async def renewed(self, person: str, refused: Credential) -> Credential | None:
        """Another credential than the refused one, None when there is none to be had."""
        return await self._first(person, lambda known_as: self.accounts.renewed(known_as, refused))

    async def _first(self, person: str, ask: Callable[[str], Awaitable[T | None]]) -> T | None:
        for known_as in await self.directory.ids(person):
            if (found := await ask(known_as)) is not None:
                return found
        return None


def _in(seconds: float | None) -> float | None:
    return None if seconds is None else time.time() + seconds


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
