"""The base image of the boxes: there, or built, or put together from Debian packages."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import structlog
from docker import DockerClient
from docker.errors import APIError, BuildError, ImageNotFound
from docker.utils import parse_repository_tag

from sandbox.environments.protocol import EnvironmentUnavailable
from sandbox.images.machine_packages import packed, write_settings

log = structlog.get_logger()

# On images that have the box's user and directories already.
READY_LABEL = "bellhop.ready"
# What an image is called until it has this machine's settings.
DRAFT_REPOSITORY = "bellhop/base-draft"
DOCKERFILE = Path(__file__).with_name("Dockerfile")
DEBIAN_RELEASE = "bookworm"
PACKAGES = [
    "bash",
    "ca-certificates",
    "curl",
    "diffutils",
    "g++",
    "gcc",
    "git",
    "jq",
    "less",
    "libc6-dev",
    "make",
    "patch",
    "procps",
    "python3",
    "python3-dev",
    "python3-pip",
    "python3-venv",
    "ripgrep",
    "unzip",
    "xz-utils",
]
# What debootstrap's solver cannot put together, and apt in the finished tree can.
LATER_PACKAGES = ["nodejs", "npm"]
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


def recipe() -> str:
    """A short digest that changes with what the image is made of."""
    content = repr((DEBIAN_RELEASE, PACKAGES, LATER_PACKAGES, USER_LINES, OWN_DIRECTORIES, LEFT_OUT))
    return hashlib.sha256(content.encode()).hexdigest()[:8]


def ensure_base_image(client: DockerClient, tag: str, cache: Path) -> str:
    """`tag`, present in the engine: found there, else built, else imported from an own Debian tree.

    The build needs a registry for its first layer. The tree needs root and debootstrap; its tarball stays in
    `cache` under the name of its recipe, so that another engine gets it without the work. Whatever is found
    under `tag`, here or in the registry that it names, is taken as it is; what is made here fetches packages
    from where this machine does.

    Raises: EnvironmentUnavailable, saying what to do.
    """
    try:
        client.images.get(tag)
        return tag
    except ImageNotFound:
        if _is_fetched(client, tag):
            return tag
    draft = f"{DRAFT_REPOSITORY}:{recipe()}"
    tarball = cache / f"base-{DEBIAN_RELEASE}-{recipe()}.tar"
    if tarball.exists():
        _import(client, tarball, draft)
    elif (refusal := _built(client, draft)) is not None:
        _make_tree(tarball, tag, refusal)
        _import(client, tarball, draft)
    _finish_image(client, draft, tag)
    return tag


def _is_fetched(client: DockerClient, tag: str) -> bool:
    """Whether the engine has it now from the registry that its name begins with, if it begins with one."""
    host, slash, _ = tag.partition("/")
    if not slash or not {".", ":"} & set(host):
        return False
    try:
        client.images.pull(*parse_repository_tag(tag))
    except APIError as error:
        log.warning("base image not fetched", tag=tag, error=str(error))
        return False
    return True


def _import(client: DockerClient, tarball: Path, draft: str) -> None:
    changes = [f"LABEL {READY_LABEL}=1", "USER 10001:10001", "WORKDIR /workspace"]
    repository, _, version = draft.rpartition(":")
    client.api.import_image_from_file(str(tarball), repository=repository, tag=version, changes=changes)


def _finish_image(client: DockerClient, draft: str, tag: str) -> None:
    """`tag` is the draft with the package settings of this machine in it."""
    container = client.containers.create(draft, ["true"], network_mode="none")
    try:
        with tempfile.TemporaryDirectory(prefix="bellhop-base-") as directory:
            write_settings(Path(directory), DEBIAN_RELEASE)
            container.put_archive("/", packed(Path(directory)))
        repository, _, version = tag.rpartition(":")
        container.commit(repository, version, changes='CMD ["bash"]')
    finally:
        container.remove()
    client.images.remove(draft)


def _built(client: DockerClient, tag: str) -> str | None:
    """Builds the Dockerfile; what the engine said when that did not work, else None."""
    try:
        client.images.build(path=str(DOCKERFILE.parent), tag=tag, rm=True, timeout=BUILD_SECONDS)
    except (BuildError, APIError) as error:
        # An engine that goes away in the middle just ends what it says.
        client.ping()
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
        _install_later(tree)
        _finish_tree(tree)
        unfinished = tarball.with_suffix(".part")
        with tarfile.open(unfinished, "w") as archive:
            archive.add(tree, arcname=".", filter=_without_leftovers)
        unfinished.replace(tarball)
    for former in tarball.parent.glob("base-*.tar"):
        if former != tarball:
            former.unlink()


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


def _install_later(tree: Path) -> None:
    inside = [
        "chroot",
        str(tree),
        "env",
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND=noninteractive",
    ]
    command = [*inside, "apt-get", "--quiet", "--yes", "--no-install-recommends", "install", *LATER_PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    if done.returncode != 0:
        raise EnvironmentUnavailable(
            f"The base image could not be put together: apt did not install {' '.join(LATER_PACKAGES)}: "
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
