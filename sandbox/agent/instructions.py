"""AGENTS.md files: the root one from the start, a nested one when a file below it is first touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from posixpath import dirname, normpath

INSTRUCTION_FILE = "AGENTS.md"
MAX_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class FolderInstructions:
    """The repository's instructions by folder (the root is the empty string), as of the base commit.

    They are read at the base commit and never from the workspace, so that an agent cannot be given
    instructions by a file that it was tricked into writing.
    """

    texts: Mapping[str, str]

    @property
    def root(self) -> str:
        """What holds for the whole repository; empty when nothing is written."""
        return self.texts.get("", "")[:MAX_CHARACTERS]

    def below_root(self, path: str, outputs: Iterable[str], workspace: str) -> str:
        """What holds for `path` besides the root's and was not shown in any of `outputs` yet; else empty."""
        inside = normpath(path.removeprefix(workspace).lstrip("/"))
        folder = dirname(inside)
        found: list[str] = []
        while folder:
            if folder in self.texts:
                found.append(folder)
            folder = dirname(folder)
        shown = "\n".join(outputs) if found else ""
        blocks = [
            f"{_heading(folder)}\n{self.texts[folder][:MAX_CHARACTERS].strip()}"
            for folder in reversed(found)
            if _heading(folder) not in shown
        ]
        return "\n\n".join(blocks)


def _heading(folder: str) -> str:
    return f"[instructions of {folder}/{INSTRUCTION_FILE}, which hold for everything in {folder}/]"
