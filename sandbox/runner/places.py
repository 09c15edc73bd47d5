"""Which paths an operation may name, and where the runner keeps what is its own."""

from __future__ import annotations

import hashlib
import os
from typing import Sequence

from .refusal import Refused


class Places:
    """`workspace` is where the work is, `state` where the journal and long outputs are.

    `readable` are further directories that files may be read from.
    """

    def __init__(self, workspace: str, state: str, readable: Sequence[str] = ()) -> None:
        self.workspace = os.path.realpath(workspace)
        self.state = os.path.realpath(state)
        self._readable = [self.workspace, os.path.join(self.state, "output")]
        self._readable += [os.path.realpath(path) for path in readable]

    def writable(self, path: str) -> str:
        """The real path of a file in the workspace. Raises: Refused."""
        return self._inside(path, [self.workspace])

    def readable(self, path: str) -> str:
        """The real path of a file that may be read. Raises: Refused."""
        real = self._inside(path, self._readable)
        if not os.path.exists(real):
            raise Refused(f"{path} does not exist")
        return real

    def directory(self, path: str | None) -> str:
        """The real path of a directory in the workspace, the workspace itself for None. Raises: Refused."""
        real = self._inside(path or ".", [self.workspace])
        if not os.path.isdir(real):
            raise Refused(f"{path} is not a directory of the workspace")
        return real

    def shown(self, real: str) -> str:
        """`real` as it is told: relative to the workspace where it is inside."""
        relative = os.path.relpath(real, self.workspace)
        return real if relative.startswith("../") else relative

    def spill_path(self, call_id: str) -> str:
        """The file that a call's long output goes to."""
        name = hashlib.blake2b(call_id.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        return os.path.join(self.state, "output", name + ".txt")

    def _inside(self, path: str, roots: Sequence[str]) -> str:
        if not path or "\0" in path:
            raise Refused("the path is empty or has a NUL character")
        try:
            real = os.path.realpath(os.path.join(self.workspace, path))
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}") from error
        if not any(real == root or real.startswith(root + "/") for root in roots):
            raise Refused(f"{path} is outside the workspace ({self.workspace})")
        return real
