"""The beginning of a bundle file: what it brings, in lines, before the pack."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SIGNATURE = b"# v2 git bundle\n"
"""What git writes for every repository whose ids are SHA-1 and of which nothing is left out."""

MAX_LINE_BYTES = 1024 * 1024
"""A line may end with the first paragraph of a commit's message."""

MAX_LINES = 20_000
PREREQUISITE = re.compile(rb"-[0-9a-f]{40}(?: .*)?\n")
REFERENCE = re.compile(rb"([0-9a-f]{40}) (.+)\n")


class BadBundle(Exception):
    """It is no bundle that git could be told to take in; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class BundleHeader:
    """The refs that a bundle brings (name → SHA), and the place in the file at which its pack begins."""

    references: Mapping[str, str]
    pack_offset: int


def read_header(path: Path) -> BundleHeader:
    """The header of the bundle file. What it builds on is left to git, which knows what is there.

    Source: gitformat-bundle(5). Raises: BadBundle, OSError.
    """
    references: dict[str, str] = {}
    with path.open("rb") as file:
        if file.readline(MAX_LINE_BYTES) != SIGNATURE:
            raise BadBundle("it is not a bundle of version 2")
        for _ in range(MAX_LINES):
            line = file.readline(MAX_LINE_BYTES)
            if line == b"\n":
                return BundleHeader(references, file.tell())
            if found := REFERENCE.fullmatch(line):
                references[found[2].decode("utf-8", "replace")] = found[1].decode()
            elif not PREREQUISITE.fullmatch(line):
                raise BadBundle("its list of refs is damaged")
    raise BadBundle(f"its list of refs has more than {MAX_LINES} lines")
