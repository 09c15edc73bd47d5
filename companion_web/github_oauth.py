"""GitHub's sign-in page: where the browser goes. What it comes back with, the broker exchanges."""

from __future__ import annotations

import base64
import hashlib
import secrets
from urllib.parse import urlencode

from session.broker_accounts import SignedIn, github_identity
from session.people import Identity
from session.settings import Settings

SCOPES = "read:org repo"
"""What an OAuth App asks for; a GitHub App's own permissions are used instead, and this is ignored."""


class GitHubOAuth:
    """The browser's part of GitHub's web flow, with PKCE; the client's secret is the broker's.

    Source: GitHub Docs, "Authorizing OAuth apps"; RFC 7636.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.callback = f"{settings.page_address}/sign-in/github/callback"

    @property
    def set_up(self) -> bool:
        """Whether a client id is given."""
        return bool(self._settings.github_client_id)

    def authorize_address(self, state: str, verifier: str) -> str:
        """Where the browser goes."""
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "client_id": self._settings.github_client_id,
            "redirect_uri": self.callback,
            "scope": SCOPES,
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self._settings.github_url.rstrip('/')}/login/oauth/authorize?{urlencode(query)}"

    def identity(self, signed: SignedIn) -> Identity:
        """The account as the directory knows it."""
        return github_identity(self._settings.github_url, signed.user_id, signed.login, signed.name)


def new_secret() -> str:
    """A random text for a state or a PKCE verifier."""
    return secrets.token_urlsafe(32)
