"""Which hosts a box's own pip, npm and apt fetch packages from."""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Mapping

from sandbox.environments.runner_client import RunnerClient
from sandbox.images.package_addresses import apt_entries, npm_registries, origins, pip_options

TOOL_SECONDS = 45.0
"""Each takes under a second; on a busy host, where an image is read for the first time, it was over 15."""

READ_SECONDS = 4 * TOOL_SECONDS
LATE = 75
# Runs in the box, on its Python (3.8 on): what the tools say, each within the seconds it is called with. It
# starts from the root, because a workspace may hold a `.npmrc` of its own. A tool that is late is not one
# that is absent: nothing is said then, and the exit code is `LATE`.
SCRIPT = """
import glob, json, os, subprocess, sys
os.chdir("/")
def said(*command):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=float(sys.argv[1]))
    except subprocess.TimeoutExpired:
        sys.exit(75)
    except OSError:
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
default = "from pip._internal.models.index import PyPI; print(PyPI.simple_url, PyPI.file_storage_domain)"
try:
    listed = json.loads(said("npm", "config", "list", "--json") or "{}")
    npm = {name: value for name, value in listed.items() if name.endswith("registry")}
except (ValueError, AttributeError):
    npm = {}
apt = {}
for path in ["/etc/apt/sources.list", *sorted(glob.glob("/etc/apt/sources.list.d/*"))]:
    if path.endswith((".list", ".sources")):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                apt[path] = file.read(20000)
        except OSError:
            pass
pip = [line for line in said("python3", "-m", "pip", "config", "list").splitlines()
       if line.partition("=")[0].endswith(("index-url", "find-links", "no-index"))]
print(json.dumps({"pip": "\\n".join(pip), "pip_default": said("python3", "-c", default),
                  "npm": json.dumps(npm), "apt": apt}))
"""


class ToolsLate(Exception):
    """A package manager of the box did not say in time where its index is."""


async def package_hosts(
    runner: RunnerClient, tool_seconds: float = TOOL_SECONDS
) -> Mapping[str, tuple[str, ...]]:
    """Origins (`https://host[:port]`) that each preset stands for in this box; an absent tool has none.

    Asked of a fresh box, before an agent or its repository ran anything in it: afterwards the configuration
    is what they made of it.

    tool_seconds: how long each package manager may take. Raises: ToolsLate, RunnerGone, RunnerError.
    """
    done = await runner.exec(
        f"package-hosts-{secrets.token_hex(8)}",
        f"python3 -I -c {shlex.quote(SCRIPT)} {tool_seconds}",
        timeout_seconds=READ_SECONDS,
    )
    if done.exit_code in (LATE, None):
        raise ToolsLate
    return hosts_of(done.output) if done.exit_code == 0 else hosts_of("")


def hosts_of(output: str) -> Mapping[str, tuple[str, ...]]:
    """The origins in what the script wrote; none where it makes no sense."""
    try:
        said = json.loads(output)
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    apt = said.get("apt")
    texts = (
        {name: text for name, text in apt.items() if isinstance(text, str)} if isinstance(apt, dict) else {}
    )
    entries = [entry for name, text in texts.items() for entry in apt_entries(name, text)]
    return {
        "python": _python_origins(_text(said, "pip"), _text(said, "pip_default")),
        "npm": origins(npm_registries(_text(said, "npm")).values()),
        "debian": origins(address for entry in entries for address in entry.addresses),
    }


def _python_origins(listed: str, default: str) -> tuple[str, ...]:
    """Those of the index in force and of further ones.

    pip's own index has its files on another host, which pip knows; where another index is set, its files are
    taken to be on the same host.
    """
    options = pip_options(listed)
    index = options.get("index-url", ())
    if not index and "no-index" not in options:
        address, _, storage = default.strip().partition(" ")
        index = (address, f"https://{storage}") if storage else (address,)
    return origins((*index, *options.get("extra-index-url", ()), *options.get("find-links", ())))


def _text(said: Mapping[str, object], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""
