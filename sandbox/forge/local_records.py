"""Pull requests of the local forge: one JSON file each, replaced whole, under a lock per repository."""

from __future__ import annotations

import json
import os
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox.forge.locks import file_lock
from sandbox.forge.mirrors import checked_slug
from sandbox.forge.protocol import ForgeError, PullRequestState

LOCK_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class PullRequestRecord:
    """What the file of one pull request holds; `head_sha` is the last head known when it was written."""

    number: int
    branch: str
    base: str
    title: str
    body: str
    state: PullRequestState
    author: str
    head_sha: str


class PullRequestRecords:
    """The records of all repositories under one directory: `<owner>/<name>/<number>.json`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, slug: str, number: int) -> Path:
        """The file of a pull request, there or not."""
        return self._folder(slug) / f"{number}.json"

    def lock(self, slug: str) -> AbstractAsyncContextManager[None]:
        """Held around every read-then-write of a repository's records."""
        return file_lock(self._folder(slug) / ".lock", LOCK_TIMEOUT_SECONDS)

    def get(self, slug: str, number: int) -> PullRequestRecord | None:
        """The record, or None if there is none. Raises `ForgeError` when the file is damaged."""
        path = self.path(slug, number)
        if not path.exists():
            return None
        try:
            return PullRequestRecord(**json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            raise ForgeError(f"The pull request record {path} is damaged ({error}); restore it.") from error

    def find_open(self, slug: str, branch: str) -> PullRequestRecord | None:
        """The open or draft pull request of the branch, or None."""
        for number in sorted(self._numbers(slug), reverse=True):
            record = self.get(slug, number)
            if record and record.branch == branch and record.state in ("open", "draft"):
                return record
        return None

    def add(
        self,
        slug: str,
        *,
        branch: str,
        base: str,
        title: str,
        body: str,
        state: PullRequestState,
        author: str,
        head_sha: str,
    ) -> PullRequestRecord:
        """A new record under the next number; call it under `lock`."""
        number = max(self._numbers(slug), default=0) + 1
        record = PullRequestRecord(number, branch, base, title, body, state, author, head_sha)
        self.save(slug, record)
        return record

    def save(self, slug: str, record: PullRequestRecord) -> None:
        """Replace the record's file in one step, on disk before it is seen."""
        path = self.path(slug, record.number)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        with draft.open("w") as file:
            json.dump(asdict(record), file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    def _folder(self, slug: str) -> Path:
        return self._directory / checked_slug(slug).lower()

    def _numbers(self, slug: str) -> list[int]:
        return [int(path.stem) for path in self._folder(slug).glob("*.json") if path.stem.isdigit()]
