"""What the base image is made of, and that boxes fetch packages from where their machine does."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path
from uuid import uuid4

import docker
import pytest

from sandbox.environments.docker_engine import DockerEnvironment
from sandbox.environments.protocol import SandboxSpec
from sandbox.images.base_image import DOCKERFILE, LATER_PACKAGES, PACKAGES, ensure_base_image
from sandbox.images.machine_packages import NPM_FILE, PIP_FILE
from sandbox.package_hosts import package_hosts
from tests.provision.places import CHECKOUT
from tests.provision.registry import PASSWORD, USER, RegistryServer
from tests.sandbox.environments.boxes import run

# What extensions of Python and Node are compiled with.
COMPILE = (
    "echo '#include <Python.h>' | gcc -fsyntax-only $(python3-config --includes) -x c -"
    " && printf '#include <string>\\n#include <node_api.h>\\n'"
    " | g++ -fsyntax-only -I/usr/include/node -x c++ -"
)
WRITE = (
    "import sys; from pathlib import Path; from sandbox.images.machine_packages import write_settings;"
    " write_settings(Path(sys.argv[1]), None)"
)


def _written(tree: Path, **environment: str) -> None:
    """The settings of a machine with that environment and no other, written below `tree`."""
    path = "/usr/local/bin:/usr/bin:/bin"
    command = [sys.executable, "-c", WRITE, str(tree)]
    everything = {"PATH": path, "HOME": str(tree), "PYTHONPATH": str(CHECKOUT), **environment}
    subprocess.run(command, env=everything, check=True, timeout=100)


def test_the_dockerfile_and_the_tree_have_the_same_packages() -> None:
    words = set(DOCKERFILE.read_text().replace("\\", " ").split())
    assert {*PACKAGES, *LATER_PACKAGES} <= words


@pytest.mark.needs("docker", "registry")
def test_a_base_that_a_registry_has_is_fetched_from_there(
    docker_host: str, registry: RegistryServer, tmp_path: Path
) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(uuid4().hex))
    repository = f"{registry.address}/base"
    with contextlib.closing(docker.DockerClient(base_url=docker_host)) as client:
        client.login(USER, PASSWORD, registry=f"127.0.0.1:{registry.port}")
        client.api.import_image_from_data(content.getvalue(), repository=repository, tag="7")
        pushed = client.images.get(f"{repository}:7").id
        client.images.push(repository, "7")
        client.images.remove(f"{repository}:7")
        assert ensure_base_image(client, f"{repository}:7", tmp_path) == f"{repository}:7"
        assert client.images.get(f"{repository}:7").id == pushed
        client.images.remove(f"{repository}:7")


def test_a_mirror_of_the_machine_goes_into_boxes_without_its_password(tmp_path: Path) -> None:
    _written(
        tmp_path,
        PIP_INDEX_URL="https://me:secret@py.example.com/simple",
        PIP_EXTRA_INDEX_URL="https://more.example.com/simple file:///srv/simple",
        PIP_TRUSTED_HOST="py.example.com",
    )
    lines = (tmp_path / PIP_FILE).read_text().splitlines()
    assert lines[:2] == ["[global]", "index-url = https://py.example.com/simple"]
    assert "https://more.example.com/simple" in lines[2].split()
    assert lines[-1].startswith("trusted-host = ")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(b"secret" not in path.read_bytes() for path in written)
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in written)


@pytest.mark.needs("npm")
def test_a_registry_of_the_machine_goes_into_boxes_without_its_token(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".npmrc").write_text(
        "registry=https://npm.example.com/\n@acme:registry=https://acme.example.com/npm/\n"
        "//npm.example.com/:_authToken=secret\n"
    )
    tree = tmp_path / "tree"
    _written(tree, HOME=str(home))
    assert (tree / NPM_FILE).read_text().splitlines() == [
        "@acme:registry=https://acme.example.com/npm/",
        "registry=https://npm.example.com/",
    ]


async def test_a_new_container_has_pip_npm_apt_and_compilers_and_knows_their_hosts(
    docker_environment: DockerEnvironment, tmp_path: Path
) -> None:
    spec = SandboxSpec("s1", "bellhop-base", None, tmp_path / "in")
    try:
        async with await docker_environment.open(spec) as box:
            hosts = await package_hosts(box.runner)
            assert set(hosts) == {"python", "npm", "debian"}
            assert all(hosts.values())
            # Asked again, it answers the same: asking leaves nothing behind that changes the answer.
            assert await package_hosts(box.runner) == hosts
            assert (await run(box, "ls -A")).output == ""
            compiled = await run(box, COMPILE)
            assert compiled.exit_code == 0, compiled.output
    finally:
        await docker_environment.remove(spec.name)
