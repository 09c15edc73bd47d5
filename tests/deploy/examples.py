"""The example environments that people copy and fill in."""

from __future__ import annotations

import re

from tests.provision.places import CHECKOUT

DEPLOY = CHECKOUT / "deploy"
PROCESSES = ("broker", "bot", "web", "worker")
FILES = ("common", *PROCESSES)


def named_in(file: str) -> dict[str, str]:
    """The variables of an example environment, those commented out too, with their values."""
    text = (DEPLOY / f"{file}.env.example").read_text()
    return dict(re.findall(r"^#?([A-Z][A-Z_]+)=(.*)$", text, re.MULTILINE))
