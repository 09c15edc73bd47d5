"""The real projects of the benchmark: which versions, from which registry, and how each is made ready.

A package's tree is taken as it was published. `more` are files that a repository has and a published package
has not: what git ignores, and what Bellhop reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

CONFIG_FILE = ".bellhop/config.yaml"
IGNORED = "__pycache__/\n.pytest_cache/\n.venv/\nbuild/\n*.egg-info/\n*.so\n"
VENV = "python3 -m venv .venv"
INSTALL = ".venv/bin/pip install --quiet --disable-pip-version-check"
PYTEST = "pytest==9.2.0"


@dataclass(frozen=True, slots=True)
class Edit:
    """A change that an agent makes, and the one test that it runs afterwards."""

    path: str
    old: str
    new: str
    test: str


@dataclass(frozen=True, slots=True)
class Project:
    """A project at one version. `sha256` is its source distribution's. `suite` is its own test suite; `edit`
    what an agent does in it, None: its files are left as they are."""

    name: str
    version: str
    registry: Literal["python", "npm"]
    sha256: str
    setup: tuple[str, ...]
    suite: str
    more: Mapping[str, str]
    edit: Edit | None = None

    @property
    def slug(self) -> str:
        """What the catalogue calls it."""
        return f"projects/{self.name}"

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"


def _config(setup: tuple[str, ...], suite: str) -> str:
    # JSON is YAML, and quotes whatever a shell command may hold.
    return json.dumps({"setup": setup, "verify": [suite]}, indent=2) + "\n"


ATTRS_SETUP = (
    VENV,
    f"{INSTALL} --editable . {PYTEST} hypothesis==6.170.17 cloudpickle==3.1.3 pympler==1.1",
)
ATTRS_SUITE = ".venv/bin/python -m pytest -q"
MSGPACK_SETUP = (VENV, f"{INSTALL} --editable . {PYTEST}")
MSGPACK_SUITE = ".venv/bin/python -m pytest -q test"
STARLETTE_SETUP = (
    VENV,
    f"{INSTALL} --editable '.[full]' {PYTEST} trio==0.35.0 blockbuster==1.5.29 opentelemetry-sdk==1.45.2 "
    "'httpx2[zstd]==2.16.2'",
)
STARLETTE_SUITE = ".venv/bin/python -m pytest -q tests"
MINIMIST_SETUP = ("npm install --no-audit --no-fund --loglevel=error",)
MINIMIST_SUITE = "npx --no-install tape 'test/*.js'"

PROJECTS = (
    Project(
        name="attrs",
        version="26.1.0",
        registry="python",
        sha256="d03ceb89cb322a8fd706d4fb91940737b6642aa36998fe130a9bc96c985eff32",
        setup=ATTRS_SETUP,
        suite=ATTRS_SUITE,
        more={CONFIG_FILE: _config(ATTRS_SETUP, ATTRS_SUITE)},
    ),
    Project(
        name="msgpack",
        version="1.2.4",
        registry="python",
        sha256="475c44e12f2a5de766a8448783f149c9b33f3f49b88953c6cd739a77d93c732c",
        setup=MSGPACK_SETUP,
        suite=MSGPACK_SUITE,
        more={".gitignore": IGNORED, CONFIG_FILE: _config(MSGPACK_SETUP, MSGPACK_SUITE)},
        edit=Edit(
            "msgpack/ext.py",
            old='raise TypeError("seconds must be an integer")',
            new='raise TypeError("seconds must be a whole number")',
            test=".venv/bin/python -m pytest -q test/test_timestamp.py",
        ),
    ),
    Project(
        name="starlette",
        version="1.10.0",
        registry="python",
        sha256="b8399098d4c1e3522734f7235dc79b1fc967f96cf139c81e0fa30479e0685f9b",
        setup=STARLETTE_SETUP,
        suite=STARLETTE_SUITE,
        more={CONFIG_FILE: _config(STARLETTE_SETUP, STARLETTE_SUITE)},
    ),
    Project(
        name="minimist",
        version="1.2.8",
        registry="npm",
        sha256="350a76c115b393c19d24654834261e5dc9f0e8cc5e08f3937fa80140f3e4ce83",
        setup=MINIMIST_SETUP,
        suite=MINIMIST_SUITE,
        more={
            ".gitignore": "node_modules/\n",
            # As in its own repository, where no lock file is kept.
            ".npmrc": "package-lock=false\n",
            ".devcontainer/devcontainer.json": json.dumps({"postCreateCommand": MINIMIST_SETUP[0]}),
            CONFIG_FILE: json.dumps({"verify": [MINIMIST_SUITE]}),
        },
    ),
)
