"""BELLHOP_HOME as broker and worker share it: nobody else enters, and each has places that the other cannot
change."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from session.settings import Settings, SettingsError

_BROKERS: Mapping[str, int] = {"forge": 0o755, "quarantine": 0o755, "doors": 0o711, "hooks": 0o700}
"""Directories in which the broker alone writes, with their modes: git runs in them, and starts the hook."""

_UMASK = 0o022
_OTHERS, _NOT_OWNER_WRITES = 0o007, 0o022


def share_with_group() -> None:
    """Let what this process makes be readable: by boxes' users, and for the one who shares BELLHOP_HOME.

    Everybody else is kept out by the mode of that directory itself.
    """
    os.umask(_UMASK)


def claim(settings: Settings) -> None:
    """The broker's places in BELLHOP_HOME are there and its own, before anybody else can make them.

    Raises: SettingsError, with what to do about it.
    """
    home = settings.bellhop_home
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _close(home)
        for name, mode in _BROKERS.items():
            (home / name).mkdir(mode=mode, exist_ok=True)
            _be_own(home / name)
        if settings.audit_anchors is None and settings.anchors_file.exists():
            _be_own(settings.anchors_file)
    except OSError as error:
        raise SettingsError(
            f"BELLHOP_HOME={home} cannot be used ({error.strerror}: {error.filename}). {_shared(home)}"
        ) from error


def join(settings: Settings) -> None:
    """Return if a worker can work in BELLHOP_HOME. Raises: SettingsError, with what to do about it."""
    home = settings.bellhop_home
    if not settings.embedded and not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        raise SettingsError(f"BELLHOP_HOME={home} is closed to this user, or not there. {_shared(home)}")


def _close(home: Path) -> None:
    """Others do not enter; and where the group may write, nobody renames what somebody else made."""
    found = home.stat()
    mode = stat.S_IMODE(found.st_mode)
    wanted = mode & ~_OTHERS
    if wanted & stat.S_IWGRP:
        wanted |= stat.S_ISVTX
    if wanted == mode:
        return
    if found.st_uid != os.geteuid():
        raise SettingsError(f"BELLHOP_HOME={home} is open to others (mode {mode:o}). {_shared(home)}")
    home.chmod(wanted)


def _be_own(path: Path) -> None:
    me = os.geteuid()
    for found in (path.lstat(), path.stat()):
        if found.st_uid != me:
            raise SettingsError(
                f"{path} belongs to user {found.st_uid}, and the broker, user {me}, trusts only what is its "
                f"own. If it is Bellhop's: stop all processes, chown -R {me} {path}, and start them again"
            )
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _NOT_OWNER_WRITES:
        path.chmod(mode & ~_NOT_OWNER_WRITES)


def _shared(home: Path) -> str:
    return (
        "Broker and worker share it, and nobody else: "
        f"install -d -o <broker's user> -g <a group of both> -m 3770 {home}"
    )
