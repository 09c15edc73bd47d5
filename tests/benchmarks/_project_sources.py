"""The projects' published sources, fetched once, and repositories made of them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.benchmarks._projects import Project
from tests.provision import processes
from tests.provision.places import CHECKOUT
from tests.sandbox.workbench import Workbench, git

CACHE = CHECKOUT / ".cache" / "projects"
FETCH_SECONDS = 300


class WrongSource(RuntimeError):
    """A registry gave something else than what is pinned here."""


def repository(project: Project, directory: Path) -> Path:
    """A bare repository in the directory, with the project's published tree as its only commit.

    Raises: WrongSource; CalledProcessError, when the registry cannot be reached.
    """
    path = directory / f"{project.name}-work"
    path.mkdir(parents=True)
    with tarfile.open(_source(project)) as archive:
        # Both registries put everything below one folder, whose name nobody relies on.
        for entry in archive:
            entry.name = entry.name.partition("/")[2]
            if entry.name:
                archive.extract(entry, path, filter="data")
    git(path, "init", "--quiet", "--initial-branch=main")
    work = Workbench(path)
    work.commit(f"Import {project.title}", {**project.more})
    return work.bare(directory / f"{project.name}.git")


def _source(project: Project) -> Path:
    """The source distribution, from the cache or the registry."""
    place = CACHE / f"{project.name}-{project.version}"
    with processes.lock(CACHE / "lock"):
        place.mkdir(parents=True, exist_ok=True)
        if not any(place.iterdir()):
            print(f"Fetching {project.title}", flush=True)
            subprocess.run(
                _fetch(project), cwd=place, check=True, stdout=subprocess.DEVNULL, timeout=FETCH_SECONDS
            )
    (found,) = place.iterdir()
    if (actual := hashlib.sha256(found.read_bytes()).hexdigest()) != project.sha256:
        raise WrongSource(f"{found} has the SHA-256 {actual}, not {project.sha256}: remove it, or look why")
    return found


def _fetch(project: Project) -> list[str]:
    if project.registry == "npm":
        return ["npm", "pack", "--silent", f"{project.name}@{project.version}"]
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", project.name]
    return [sys.executable, "-m", "pip", "download", *options, f"{project.name}=={project.version}"]
