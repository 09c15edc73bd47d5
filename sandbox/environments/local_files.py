"""Copies of a box's folders: snapshots, and boxes made from them."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sandbox.environments.protocol import ImageMissing, SandboxFailed

GONE = "No such file or directory"
KEPT = ("workspace", "state", "home")


def copy_box(source: Path, target: Path, uid: int | None, folders: Sequence[str] = KEPT) -> None:
    """The kept folders of a box (or those named), copied beside the target and then put in its place."""
    if not source.is_dir():
        raise ImageMissing(f"there is no {source.parent.name}/{source.name} to copy")
    beside = target.with_name(f"{target.name}.{secrets.token_hex(4)}.new")
    beside.mkdir(parents=True)
    try:
        kept = [str(source / name) for name in folders if (source / name).is_dir()]
        _run(["cp", "--archive", "--reflink=auto", "--", *kept, str(beside)], may_miss_files=True)
        if uid is not None:
            _run(["chown", "--recursive", "--no-dereference", f"{uid}:{uid}", "--", str(beside)])
        shutil.rmtree(target, ignore_errors=True)
        beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def disk_bytes(directory: Path) -> int:
    """How much of the disk the files below the directory take."""
    done = subprocess.run(["du", "--summarize", "--block-size=1", "--", str(directory)],
                          capture_output=True, text=True, env={"LC_ALL": "C"}, check=False)  # fmt: skip
    return int(done.stdout.split()[0]) if done.stdout else 0


def _run(command: Sequence[str], may_miss_files: bool = False) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env={"LC_ALL": "C"}, check=False)
    # A busy box removes files while they are copied; a copy without them is a copy of a moment later.
    missed = may_miss_files and all(line.endswith(GONE) for line in done.stderr.splitlines())
    if done.returncode != 0 and not missed:
        raise SandboxFailed(f"{command[0]} failed: {done.stderr.strip()[-300:]}")


def remove_folder(folder: Path) -> None:
    """The folder is gone at once: whoever opens the box anew meanwhile does not lose what they make there."""
    aside = folder.with_name(f".gone-{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)
    with suppress(FileNotFoundError):
        folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)
