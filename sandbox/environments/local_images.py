"""Repository images of the local backend: copies of a box's workspace and home. All of it blocks."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from sandbox.environments.images import BaseImage, ImageTag, KeptImage, WantedBase, image_name
from sandbox.environments.local_files import copy_box, disk_bytes
from sandbox.environments.namespace_plan import host_python
from sandbox.environments.protocol import SandboxFailed

PREFIX = "local-image:"
REFERENCE = re.compile(r"local-image:([a-z0-9][a-z0-9-]*)/([A-Za-z0-9][A-Za-z0-9._-]{0,100})")
# The journal stays behind: what was called in one box is nothing to another.
FOLDERS = ("workspace", "home")
RECORD = "image.json"
# What tells one machine from another, and one release of its programs from the next.
MACHINE, RELEASE = Path("/etc/machine-id"), Path("/etc/os-release")
NO_IMAGES = (
    "{wanted} is left out: local boxes use this machine's own programs. Start a Docker engine to have it."
)


class LocalImages:
    """The images below `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def place(self) -> str:
        """This directory on this machine."""
        machine = _text(MACHINE).strip() or socket.gethostname()
        return f"local:{sha256(f'{machine} {self._directory}'.encode()).hexdigest()[:32]}"

    def base(self, wanted: WantedBase) -> BaseImage:
        """The machine's own programs, whatever is wanted."""
        python = os.path.realpath(host_python()[0])
        identity = f"local:{sha256(f'{_text(RELEASE)} {python}'.encode()).hexdigest()[:16]}"
        what = "The Dockerfile" if wanted.build else f"The image {wanted.image}" if wanted.image else ""
        return BaseImage(None, identity, NO_IMAGES.format(wanted=what) if what else "")

    def keep(self, box: Path, tag: ImageTag, labels: Mapping[str, str]) -> KeptImage:
        """A copy of the box's folders. Raises: SandboxFailed."""
        reference = f"{PREFIX}{image_name(tag.slug)}/{tag.tag}"
        target = self.path(reference)
        copy_box(box, target, None, FOLDERS)
        kept = KeptImage(reference, dict(labels), disk_bytes(target))
        record = {"labels": kept.labels, "size_bytes": kept.size_bytes}
        (target / RECORD).write_text(json.dumps(record))
        return kept

    def list(self) -> Sequence[KeptImage]:
        """Every image here."""
        found = []
        for record in sorted(self._directory.glob(f"*/*/{RECORD}")):
            content = json.loads(record.read_text())
            reference = f"{PREFIX}{record.parent.parent.name}/{record.parent.name}"
            found.append(KeptImage(reference, content["labels"], content["size_bytes"]))
        return found

    def remove(self, reference: str) -> None:
        """The copy is gone. Raises: SandboxFailed for what is no reference of an image."""
        shutil.rmtree(self.path(reference), ignore_errors=True)

    def path(self, reference: str) -> Path:
        """Where the copy is. Raises: SandboxFailed for what is no reference of an image."""
        found = REFERENCE.fullmatch(reference)
        if found is None:
            raise SandboxFailed(f"{reference!r} is no image of the local backend")
        return self._directory / found[1] / found[2]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
