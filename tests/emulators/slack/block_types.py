"""Slack's own declarations of Block Kit, from the npm package `@slack/types`, beside the limits it documents.

The package is installed once under `.cache/`. Where there is neither it nor npm, blocks are held against the
limits alone; a test that needs npm says so then.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from functools import cache

from tests.emulators.slack.declarations import Declarations
from tests.provision.places import CHECKOUT

PACKAGE, VERSION = "@slack/types", "3.2.0"
_CACHE = CHECKOUT / ".cache"
_PREFIX = _CACHE / "npm" / "slack"
_INSTALL = ("npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund")
_INSTALL_SECONDS = 300
_FILES = (
    "block-kit/composition-objects.d.ts",
    "block-kit/extensions.d.ts",
    "block-kit/block-elements.d.ts",
    "block-kit/blocks.d.ts",
    "views.d.ts",
    "chunk.d.ts",
)
_INSTEAD = {"AnyBlock": "KnownBlock"}
"""The package lets blocks pass that it does not know; what Slack will not show is none of ours."""


@cache
def block_kit() -> Declarations | None:
    """The declarations; None where they cannot be had."""
    files = [_PREFIX / "node_modules" / PACKAGE / "dist" / name for name in _FILES]
    _CACHE.mkdir(exist_ok=True)
    with (_CACHE / "slack-types.lock").open("w") as lock:
        # Asked for under the lock: another process may be about to unpack them.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(file.exists() for file in files):
            if shutil.which("npm") is None:
                return None
            _install()
    return Declarations((file.read_text() for file in files), _INSTEAD)


def _install() -> None:
    _PREFIX.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [*_INSTALL, "--prefix", str(_PREFIX), f"{PACKAGE}@{VERSION}"],
        check=True,
        timeout=_INSTALL_SECONDS,
        capture_output=True,
    )
