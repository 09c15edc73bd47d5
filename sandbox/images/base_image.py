"""The base image of the boxes: there, or built, or put together from Debian packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import requests
from docker import DockerClient
from docker.errors import APIError, BuildError, DockerException, ImageNotFound

from sandbox.environments.protocol import EnvironmentUnavailable

# On images that have the box's user and directories already.
READY_LABEL = "bellhop.ready"
DOCKERFILE = Path(__file__).with_name("Dockerfile")
DEBIAN_RELEASE = "bookworm"
PACKAGES = [
    "bash",
    "ca-certificates",
    "curl",
    "diffutils",
    "gcc",
    "git",
    "jq",
    "less",
    "libc6-dev",
    "make",
    "patch",
    "procps",
    "python3",
    "python3-pip",
    "python3-venv",
    "ripgrep",
    "unzip",
    "xz-utils",
]
# The box's user by number: `useradd` is not run in a tree that is only unpacked.
USER_LINES = {
    "etc/passwd": "bellhop:x:10001:10001::/bellhop/home:/bin/bash\n",
    "etc/group": "bellhop:x:10001:\n",
}
OWN_DIRECTORIES = ("workspace", "bellhop/state", "bellhop/home")
LEFT_OUT = (
    "var/cache/apt/archives",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/man",
)
BUILD_SECONDS = 1800


def ensure_base_image(client: DockerClient, tag: str, cache: Path) -> str:
    """`tag`, present in the engine: found there, else built, else imported from an own Debian tree.

    The build needs a registry for its first layer. The tree needs root and debootstrap; its tarball stays in
    `cache`, so that another engine gets it without the work.

    Raises: EnvironmentUnavailable, saying what to do.
    """
    try:
        client.images.get(tag)
        return tag
    except ImageNotFound:
        pass
    tarball = cache / f"base-{DEBIAN_RELEASE}.tar"
    if not tarball.exists():
        refusal = _built(client, tag)
        if refusal is None:
            return tag
        _make_tree(tarball, tag, refusal)
    changes = [f"LABEL {READY_LABEL}=1", "USER 10001:10001", "WORKDIR /workspace"]
    repository, _, version = tag.rpartition(":")
    client.api.import_image_from_file(str(tarball), repository=repository, tag=version, changes=changes)
    return tag


def _built(client: DockerClient, tag: str) -> str | None:
    """Builds the Dockerfile; what the engine said when that did not work, else None."""
    try:
        client.images.build(path=str(DOCKERFILE.parent), tag=tag, rm=True, timeout=BUILD_SECONDS)
    except (BuildError, APIError) as error:
        return str(error)
    except (DockerException, requests.exceptions.RequestException) as error:
        return str(error)
    return None


def _make_tree(tarball: Path, tag: str, refusal: str) -> None:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        raise EnvironmentUnavailable(
            f"The image {tag} is not there and could not be built ({refusal[:300]}). Give the engine a "
            f"registry to build {DOCKERFILE.name} with, load an image under that name, set "
            "SANDBOX_BASE_IMAGE to one that has python3, git and bash, or install debootstrap and run this "
            "once as root."
        )
    tarball.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bellhop-base-") as directory:
        tree = Path(directory) / "tree"
        _debootstrap(tree)
        _finish_tree(tree)
        unfinished = tarball.with_suffix(".part")
        with tarfile.open(unfinished, "w") as archive:
            archive.add(tree, arcname=".", filter=_without_leftovers)
        unfinished.replace(tarball)


def _debootstrap(tree: Path) -> None:
    command = [
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        DEBIAN_RELEASE,
        str(tree),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    if done.returncode != 0:
        raise EnvironmentUnavailable(
            "The base image could not be put together: debootstrap said "
            f"{(done.stdout + done.stderr).strip()[-500:]!r}. It needs a Debian package archive it can reach."
        )


def _finish_tree(tree: Path) -> None:
    for name, line in USER_LINES.items():
        with (tree / name).open("a") as file:
            file.write(line)
    for name in OWN_DIRECTORIES:
        (tree / name).mkdir(parents=True, exist_ok=True)
        os.chown(tree / name, 10001, 10001)


def _without_leftovers(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    path = entry.name.removeprefix("./")
    return None if any(path.startswith(start + "/") for start in LEFT_OUT) else entry
