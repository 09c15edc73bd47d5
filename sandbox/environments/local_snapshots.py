"""Snapshots of the local backend: copies of a box's files. All of it blocks."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from sandbox.environments.local_files import copy_box
from sandbox.environments.protocol import SandboxFailed

REFERENCE = re.compile(r"local:([a-z0-9][a-z0-9-]{0,50})/([A-Za-z0-9][A-Za-z0-9._-]{0,100})")


class LocalSnapshots:
    """The copies below `directory`, by box and tag."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def take(self, box: Path, tag: str) -> str:
        """The reference of a copy of that box. Raises: SandboxFailed."""
        reference = f"local:{box.name}/{tag}"
        copy_box(box, self.path(reference), None)
        return reference

    def list(self) -> Sequence[str]:
        """The references of all copies."""
        return [f"local:{copy.parent.name}/{copy.name}" for copy in sorted(self._directory.glob("*/*"))]

    def remove(self, reference: str) -> None:
        """The copy is gone. Raises: SandboxFailed for what is no reference of a snapshot."""
        shutil.rmtree(self.path(reference), ignore_errors=True)

    def path(self, reference: str) -> Path:
        """Where the copy is. Raises: SandboxFailed for what is no reference of a snapshot."""
        found = REFERENCE.fullmatch(reference)
        if found is None:
            raise SandboxFailed(f"{reference!r} is no snapshot of the local backend")
        return self._directory / found[1] / found[2]
