"""The package indexes that this machine uses, as settings for boxes, so that a company's mirrors work there.

Only addresses go in. What a mirror wants to be shown, the door shows it.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from sandbox.images.package_addresses import apt_entries, npm_registries, pip_options, web_address

READ_SECONDS = 30
PIP_FILE = "etc/pip.conf"
NPM_FILE = "etc/npmrc"
APT_FILE = "etc/apt/sources.list"
# Under the name that Debian's own images use, so that it stands in for theirs.
APT_PARAGRAPHS_FILE = "etc/apt/sources.list.d/debian.sources"
PIP_ADDRESSES = ("index-url", "extra-index-url", "find-links")
SIGNED_BY = re.compile(r"signed-by[:=]\s*([^\s\]]+)", re.IGNORECASE)
# The keys that apt trusts for entries that name none.
TRUSTED_KEYS = Path("/etc/apt/trusted.gpg.d")


def packed(directory: Path) -> bytes:
    """A tar archive of what is in the directory, as root's."""
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for path in sorted(directory.iterdir()):
                archive.add(path, arcname=path.name, filter=_as_root)
        return buffer.getvalue()


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    return entry


def write_settings(tree: Path, release: str | None) -> None:
    """The settings as files below `tree`, which lies over a box's root.

    `release` is that of the Debian in the box, whose apt can do nothing with the sources of another; None
    when the box has this machine's own apt.
    """
    written = dict(python_and_npm_settings())
    if release is None or f"VERSION_CODENAME={release}" in _read(Path("/etc/os-release")).splitlines():
        written |= apt_settings(Path("/"))
    for path, text in written.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    for key in _apt_keys(written):
        place = tree / key.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(key, place)
    # The umask of whoever runs this says nothing about what a box's user may read.
    for made in tree.rglob("*"):
        made.chmod(0o755 if made.is_dir() else 0o644)


def apt_settings(root: Path) -> Mapping[str, str]:
    """The apt sources of the system below `root`, by path; nothing when it has none."""
    directory = root / "etc/apt/sources.list.d"
    lists = [root / APT_FILE, *sorted(directory.glob("*.list"))]
    lines = [entry.text for path in lists for entry in apt_entries(path.name, _read(path))]
    files = sorted(directory.glob("*.sources"))
    paragraphs = [entry.text for path in files for entry in apt_entries(path.name, _read(path))]
    if not lines and not paragraphs:
        return {}
    # An empty one is written too: it stands in for what the image was made with.
    return {APT_FILE: "\n".join(lines) + "\n", APT_PARAGRAPHS_FILE: "\n\n".join(paragraphs) + "\n"}


def _apt_keys(settings: Mapping[str, str]) -> Sequence[Path]:
    """The files of public keys that apt settings need."""
    named = {Path(path) for text in settings.values() for path in SIGNED_BY.findall(text) if path[0] == "/"}
    trusted = TRUSTED_KEYS.glob("*") if APT_FILE in settings else ()
    return sorted(path for path in (*named, *trusted) if path.is_file())


@lru_cache(maxsize=1)
def python_and_npm_settings() -> Mapping[str, str]:
    """What pip and npm are told here, by file. Asked once, since each of the two takes half a second."""
    written = {PIP_FILE: _pip_settings(), NPM_FILE: _npm_settings()}
    return {path: text for path, text in written.items() if text}


def _pip_settings() -> str:
    options = pip_options(
        _said(sys.executable, "-m", "pip", "config", "list") or _said("pip", "config", "list")
    )
    lines = []
    for option in PIP_ADDRESSES:
        found = [address for word in options.get(option, ()) if (address := web_address(word)) is not None]
        # A tool that has one index takes the first that is named; the others take them all.
        found = found[:1] if option == "index-url" else list(dict.fromkeys(found))
        lines += [f"{option} = {' '.join(found)}\n"] if found else []
    hosts = options.get("trusted-host", ())
    lines += [f"trusted-host = {' '.join(hosts)}\n"] if hosts and lines else []
    return "[global]\n" + "".join(lines) if lines else ""


def _npm_settings() -> str:
    """npm keeps an address with a password in it to itself, so such a registry is not told."""
    registries = npm_registries(_said("npm", "config", "list", "--json"))
    return "".join(f"{name}={address}\n" for name, address in sorted(registries.items()))


def _said(*command: str) -> str:
    try:
        done = subprocess.run(
            # From the root: a directory may have settings of its own.
            command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, timeout=READ_SECONDS, check=False
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
