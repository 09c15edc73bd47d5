"""Users of their own for processes under test: by number, since no account has to exist for that."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from tests.provision.places import CHECKOUT

SHARED_GROUP = 20010
PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Account:
    """A user of a process, and its group."""

    uid: int
    gid: int

    def command(self, *words: str) -> list[str]:
        """What root runs so that this user runs these words, with no capability and no other group."""
        dropped = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        dropped += ["--inh-caps=-all", "--no-new-privs", "--", *words]
        return ["unshare", "--mount", "--propagation=private", "sh", "-ec", _opened(dropped)]


BROKER = Account(20005, SHARED_GROUP)
WORKER = Account(20002, SHARED_GROUP)
BOT = Account(20003, 20003)
WEB = Account(20004, 20004)
STRANGER = Account(20009, 20009)


def _opened(command: Sequence[str]) -> str:
    """The command, where Python and the checkout can be reached: root may keep them in its closed home.

    In a mount namespace of its own, an empty directory takes the closed one's place, and holds only them.
    """
    needed = {Path(sys.base_prefix), Path(sys.prefix), CHECKOUT}
    closed = {found for path in needed if (found := _closed_parent(path)) is not None}
    lines = []
    for parent in sorted(closed):
        inside = sorted(path for path in needed if path.is_relative_to(parent))
        # Descriptors keep what is covered within reach.
        lines += [f"exec {number}<{quote(str(path))}" for number, path in enumerate(inside, 3)]
        lines += [f"mount -t tmpfs -o mode=755 closed {quote(str(parent))}"]
        for number, path in enumerate(inside, 3):
            lines += [
                f"mkdir -p {quote(str(path))}",
                f"mount --no-canonicalize --bind /proc/self/fd/{number} {quote(str(path))}",
            ]
        lines += [f"exec {number}<&-" for number, _ in enumerate(inside, 3)]
    return "\n".join([*lines, f"exec {' '.join(map(quote, command))}"])


def _closed_parent(path: Path) -> Path | None:
    """The topmost directory on the way there that others may not enter."""
    way = [*reversed(path.resolve().parents)]
    return next((parent for parent in way if not os.stat(parent).st_mode & 0o001), None)
