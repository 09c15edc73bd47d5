"""Slack's own declarations of Block Kit, from the npm package `@slack/types`, beside the limits it documents.

The package is installed once under `.cache/`. Where there is neither it nor npm, blocks are held against the
limits alone; a test that needs npm says so then.
"""

from __future__ import annotations

from functools import cache

from tests.emulators.npm_packages import installed
from tests.emulators.slack.declarations import Declarations

PACKAGE, VERSION = "@slack/types", "3.2.0"
_FILES = (
    "dist/block-kit/composition-objects.d.ts",
    "dist/block-kit/extensions.d.ts",
    "dist/block-kit/block-elements.d.ts",
    "dist/block-kit/blocks.d.ts",
    "dist/views.d.ts",
    "dist/chunk.d.ts",
)
_INSTEAD = {"AnyBlock": "KnownBlock"}
"""The package lets blocks pass that it does not know; what Slack will not show is none of ours."""


@cache
def block_kit() -> Declarations | None:
    """The declarations; None where they cannot be had."""
    try:
        files = installed("slack", PACKAGE, VERSION, _FILES)
    except FileNotFoundError:
        return None
    return Declarations((file.read_text() for file in files), _INSTEAD)
