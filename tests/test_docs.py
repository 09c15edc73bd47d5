"""The pages name what there is, and their links lead somewhere. (Settings and events are generated pages.)"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from companion_web import triggers
from sandbox.agent.tools import discover_tools
from tests.provision.places import CHECKOUT

PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)|\b(?:src|srcset|href)=\"([^\"]+)\"")


def code_in(page: str) -> set[str]:
    """What a page sets in `code`."""
    return set(re.findall(r"`([^`\n]+)`", (CHECKOUT / page).read_text(encoding="utf-8")))


def broken_links(page: Path) -> list[str]:
    """The page's links to files that are not there."""
    found = [first or second for first, second in LINK.findall(page.read_text(encoding="utf-8"))]
    targets = [
        link.partition("#")[0] for link in found if "://" not in link and not link.startswith("mailto:")
    ]
    return [target for target in targets if target and not (page.parent / target).exists()]


def test_every_tool_is_named() -> None:
    assert not set(discover_tools()) - code_in("docs/add-a-tool.md")


def test_every_trigger_is_named() -> None:
    assert not {trigger.SOURCE for trigger in triggers.discover()} - code_in("docs/add-a-trigger.md")


def test_every_command_is_named_and_no_other() -> None:
    asked = [sys.executable, "-m", "deploy.command", "--help"]
    told = subprocess.run(asked, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60).stdout
    commands = set(re.findall(r"^ {4}([a-z]+) ", told, re.MULTILINE))
    assert {"up", "doctor"} <= commands
    named = {code.partition(" ")[2] for code in code_in("docs/commands.md") if code.startswith("bellhop ")}
    assert named - {"COMMAND --help"} == commands


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('[a](page.md#there) [b](gone.md) <img src="gone.png"> [c](https://example.com/gone)')
    assert broken_links(page) == ["gone.md", "gone.png"]
