"""Installing what the tests need from the distribution's own packages (Debian and Ubuntu, as root)."""

from __future__ import annotations

import os
import shutil
import subprocess

from tests.provision import parts

_PACKAGE_OF = {
    "docker": "docker.io",
    "registry": "docker-registry",
    "postgres": "postgresql",
    "chromium": "chromium",
    "emoji": "fonts-noto-color-emoji",
    "typeface": "fonts-inter",
    "ripgrep": "ripgrep",
    "bubblewrap": "bubblewrap",
    "debootstrap": "debootstrap",
    "npm": "npm",
}
_WINDOWLESS = "chromium-headless-shell"
"""Chromium without windows, which takes half the processor time; not every release has it."""

_LOCK_WAIT_SECONDS = 900


def can_install() -> bool:
    """Whether this is a machine with apt, and we may use it."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_missing() -> list[str]:
    """Install the package of each missing part; the names of packages that could not be installed."""
    wanted = [package for name, package in _PACKAGE_OF.items() if _would_help(name)]
    if not wanted and not _has_windowless():
        return []
    _apt("update")
    if _has_windowless():
        wanted = [*(package for package in wanted if package != "chromium"), _WINDOWLESS]
    print(f"Installing {', '.join(wanted)} from the distribution's packages", flush=True)
    if _apt("install", *wanted):
        return []
    # One package that this release does not have must not keep the others away.
    return [package for package in wanted if not _apt("install", package)]


def _would_help(name: str) -> bool:
    reason = parts.missing(name)
    return reason is not None and reason.endswith("installed")


def _has_windowless() -> bool:
    """Whether this release has that browser and this machine does not."""
    if shutil.which(_WINDOWLESS):
        return False
    known = subprocess.run(
        ["apt-cache", "show", _WINDOWLESS], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return known.returncode == 0


def _apt(command: str, *packages: str) -> bool:
    argv = ["apt-get", "-qq", "-o", f"DPkg::Lock::Timeout={_LOCK_WAIT_SECONDS}", command]
    if packages:
        argv += ["--yes", "--no-install-recommends", *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        print(f"apt-get {command} {' '.join(packages)}: {done.stderr.strip()[-2000:]}", flush=True)
    return done.returncode == 0
