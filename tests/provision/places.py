"""Where provisioned things live: data under the checkout, sockets where their paths stay short."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".cache" / "provision"


def short_directory() -> Path:
    """A private directory with a short path, the same one for every run from this checkout.

    A Unix socket's path may not exceed 107 bytes on Linux and 103 on macOS; a checkout can lie deeper.

    Raises: PermissionError if the directory exists and belongs to someone else.
    Source: unix(7), "Pathname sockets".
    """
    user = os.geteuid()
    checkout = hashlib.sha256(os.fsencode(CHECKOUT)).hexdigest()[:8]
    directory = Path("/tmp") / f"bellhop-{user}-{checkout}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid != user:
        raise PermissionError(f"{directory} belongs to another user: remove it, then run again")
    return directory


def temporary_home() -> Path:
    """A fresh, empty, private directory whose path leaves room for sockets inside; the caller removes it."""
    return Path(tempfile.mkdtemp(prefix="bh-", dir="/tmp"))
