"""Packages of npm that emulators read, installed once under `.cache/`."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.provision.places import CHECKOUT

PREFIXES = CHECKOUT / ".cache" / "npm"
_INSTALL = ("npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund")
_INSTALL_SECONDS = 300


def installed(name: str, package: str, version: str, wanted: Iterable[str]) -> list[Path]:
    """The files wanted of the package, which is installed in the directory `name` where one is not there.

    Raises: FileNotFoundError where that takes npm and there is none; CalledProcessError, TimeoutExpired.
    """
    prefix = PREFIXES / name
    files = [prefix / "node_modules" / package / path for path in wanted]
    prefix.mkdir(parents=True, exist_ok=True)
    with (PREFIXES / f"{name}.lock").open("w") as lock:
        # Asked for under the lock: another process may be about to unpack them.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(file.exists() for file in files):
            subprocess.run(
                [*_INSTALL, "--prefix", str(prefix), f"{package}@{version}"],
                check=True,
                timeout=_INSTALL_SECONDS,
                capture_output=True,
            )
    return files
