"""Many objects of a repository from one run of git."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.broker.git import MEBIBYTE, run_git

MAX_BYTES = 64 * MEBIBYTE


async def read_objects(
    repository: Path, names: Sequence[str], *, variables: Mapping[str, str] | None = None
) -> dict[str, bytes]:
    """What the objects hold, by their names (ids, or `commit:path`; one line each): as many of the first of
    them as 64 MB hold. They have to be there.

    Raises: GitFailed.
    """
    if not names:
        return {}
    answer = await run_git(
        repository, "cat-file", "--batch=%(objectsize)",
        stdin=lines(names), variables=variables, max_output_bytes=MAX_BYTES, truncate=True,
    )  # fmt: skip
    held: dict[str, bytes] = {}
    position = 0
    for name in names:
        end = answer.stdout.find(b"\n", position)
        if end < 0:
            break
        begin, size = end + 1, int(answer.stdout[position:end])
        if begin + size > len(answer.stdout):
            break
        held[name] = answer.stdout[begin : begin + size]
        position = begin + size + 1
    return held


async def kinds_of(repository: Path, ids: Sequence[str]) -> list[str]:
    """What each of the objects is, as git calls it: `commit`, `tree`, …; of one that is not there its id and
    `missing`.

    Raises: GitFailed.
    """
    if not ids:
        return []
    answer = await run_git(repository, "cat-file", "--batch-check=%(objecttype)", stdin=lines(ids))
    return answer.text.splitlines()


def lines(names: Sequence[str]) -> bytes:
    """The names as git reads them. Each with its line end: a last line without one goes unread."""
    return "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
