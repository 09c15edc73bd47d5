"""What the programs of a box find in their environment, so that they go through its door and trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.environments.protocol import DOOR, DOOR_AUTHORITY, DOOR_PORT, DOOR_SOCKET
from sandbox.environments.runner_launch import RUNNER_MOUNT

AUTHORITY = f"{DOOR}/{DOOR_AUTHORITY}"
PROXY = f"http://127.0.0.1:{DOOR_PORT}"
BESIDE_THE_DOOR = "localhost,127.0.0.1,::1"

# Some programs read one case of these, some the other.
WAYS = {
    name: value
    for lower, value in (("http_proxy", PROXY), ("https_proxy", PROXY))
    for name in (lower, lower.upper())
}
# Each program has a name of its own for the file of authorities that it trusts.
TRUST = dict.fromkeys(
    (
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "PIP_CERT",
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "NODE_EXTRA_CA_CERTS",
        "npm_config_cafile",
        "YARN_HTTPS_CA_FILE_PATH",
        "DENO_CERT",
        "CARGO_HTTP_CAINFO",
        "AWS_CA_BUNDLE",
    ),
    AUTHORITY,
)
HABITS = {
    # Node's own `fetch` takes no notice of a proxy without it.
    "NODE_USE_ENV_PROXY": "1",
    # The box's user is not root: apt keeps its lists at home.
    "APT_CONFIG": f"{RUNNER_MOUNT}/apt.conf",
    # A box is nobody's system, so pip may install without an environment around it.
    "PIP_BREAK_SYSTEM_PACKAGES": "1",
    # Questions that are not asked need no answer from a person: only reading is allowed of a package index.
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "npm_config_audit": "false",
    "npm_config_fund": "false",
    "npm_config_update_notifier": "false",
}


def door_environment(door: Path | None, hosts: Sequence[str] = ()) -> Mapping[str, str]:
    """Variables for every program of a box with that door; none for a box without one.

    `hosts` are further names of the box itself.
    """
    if door is None:
        return {}
    beside = ",".join((BESIDE_THE_DOOR, *hosts))
    return {**WAYS, "no_proxy": beside, "NO_PROXY": beside, **TRUST, **HABITS}


def door_options(door: Path | None) -> list[str]:
    """What the runner of such a box is called with."""
    return [] if door is None else ["--door", f"{DOOR}/{DOOR_SOCKET}", "--door-port", str(DOOR_PORT)]
