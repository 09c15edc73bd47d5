"""Reading git's patches and commit headers for secrets, line by line, each with its commit and file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from sandbox.broker.secret_patterns import SecretHit, secrets_in

COMMIT_LINE = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
COMMIT_HEADER = re.compile(rb"commit ([0-9a-f]{40}(?:[0-9a-f]{24})?)")
HUNK_LINE = re.compile(rb"(@@+) -\d")
MAX_FOUND = 1000


@dataclass(frozen=True, slots=True)
class FoundSecret:
    """A secret that a commit adds. path: empty where it is in the commit's message."""

    commit: str
    path: str
    hit: SecretHit


def secrets_in_patch(patch: bytes) -> list[FoundSecret]:
    """What the added lines of `git diff-tree --stdin -p -U0` hold, each once, at most `MAX_FOUND`."""
    return _unique(_in_patch(patch))


def secrets_in_messages(headers: bytes) -> list[FoundSecret]:
    """What the names and messages in `git rev-list --format=raw` hold."""
    return _unique(_in_messages(headers))


def _in_patch(patch: bytes) -> Iterator[FoundSecret]:
    commit = path = ""
    parents = 0  # 0: in a file's header, where "+++" names the file
    for raw in BytesIO(patch):
        line = raw.removesuffix(b"\n")
        if COMMIT_LINE.fullmatch(line):
            commit, path, parents = line.decode(), "", 0
        elif line.startswith(b"diff --"):
            parents = 0
        elif hunk := HUNK_LINE.match(line):
            parents = len(hunk[1]) - 1
        elif parents == 0:
            path = _named_path(line) or path
        elif line.startswith(b"+" * parents):
            for hit in secrets_in(_text(line[parents:])):
                yield FoundSecret(commit, path, hit)


def _in_messages(headers: bytes) -> Iterator[FoundSecret]:
    commit = ""
    for raw in BytesIO(headers):
        line = raw.removesuffix(b"\n")
        if header := COMMIT_HEADER.fullmatch(line):
            commit = header[1].decode()
            continue
        for hit in secrets_in(_text(line)):
            yield FoundSecret(commit, "", hit)


def _unique(found: Iterator[FoundSecret]) -> list[FoundSecret]:
    kept: dict[FoundSecret, None] = {}
    for item in found:
        kept[item] = None
        if len(kept) >= MAX_FOUND:
            break
    return list(kept)


def _text(line: bytes) -> str:
    # UTF-16 is text with a zero byte beside each letter.
    return line.replace(b"\0", b"").decode("utf-8", "replace")


def _named_path(line: bytes) -> str:
    """The path of a "+++ b/…" header line; git quotes names with control signs and ends spaced ones with a
    tab."""
    named = line.decode("utf-8", "replace")
    if named.startswith('+++ "b/'):
        return named[len('+++ "b/') : -1]
    return named[len("+++ b/") :].rstrip("\t") if named.startswith("+++ b/") else ""
