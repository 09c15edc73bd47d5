"""The key that seals credentials and signs cookies."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from session.settings import Settings, SettingsError

_SHORTEST = 32


def secret_key(settings: Settings) -> str:
    """SECRET_KEY, or in the embedded set-up one that is made once and kept in BELLHOP_HOME.

    Raises: SettingsError, when it is too short, or missing where several processes must agree on it.
    """
    if settings.secret_key:
        if len(settings.secret_key) < _SHORTEST:
            raise SettingsError(
                f"SECRET_KEY is too short: it seals stored credentials and needs {_SHORTEST} characters. "
                "Set it to what `openssl rand -hex 32` prints"
            )
        return settings.secret_key
    if not settings.embedded:
        raise SettingsError(
            "SECRET_KEY is missing: the broker seals stored credentials with it, and web signs cookies with "
            "one of its own. Set it to what `openssl rand -hex 32` prints"
        )
    return _kept(settings.bellhop_home / "secret.key")


def _kept(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
        # It appears whole or not at all, and the first one stays: others may start at the same moment.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text(encoding="ascii").strip()
