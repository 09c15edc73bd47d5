"""The files that a Dockerfile is built from, taken from the mirror; nothing is checked out for them."""

from __future__ import annotations

import asyncio
import io
import tarfile
from pathlib import Path

from sandbox.base_commit import BaseCommit, file_at
from sandbox.broker.git import run_git
from sandbox.images.devcontainer import BadDevcontainer, Dockerfile

DOCKERFILE_NAME = ".bellhop.Dockerfile"
"""The Dockerfile's name in the archive: it may lie outside the folder that is sent."""

ARCHIVE_SECONDS = 300.0


async def write_context(base: BaseCommit, dockerfile: Dockerfile, path: Path) -> None:
    """The context at the base commit as a tar archive, the Dockerfile in it. Raises: BadDevcontainer."""
    tree = "" if dockerfile.context == "." else dockerfile.context
    kind = await run_git(base.mirror, "cat-file", "-t", f"{base.sha}:{tree}", accept=(0, 128))
    if kind.text != "tree":
        raise BadDevcontainer(
            f"`build.context` of devcontainer.json names {dockerfile.context}, which is no folder of the "
            "repository; correct it."
        )
    await run_git(
        base.mirror, "archive", "--format=tar", f"--output={path}", f"{base.sha}:{tree}",
        timeout_seconds=ARCHIVE_SECONDS,
    )  # fmt: skip
    text = await file_at(base, dockerfile.file) or ""
    await asyncio.to_thread(_append, path, text.encode())


def _append(path: Path, dockerfile: bytes) -> None:
    with tarfile.open(path, "a") as archive:
        entry = tarfile.TarInfo(DOCKERFILE_NAME)
        entry.size = len(dockerfile)
        archive.addfile(entry, io.BytesIO(dockerfile))
