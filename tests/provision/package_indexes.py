"""Where the package indexes are that this machine's own pip and npm use."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from urllib.parse import urlsplit


def addresses(*presets: str) -> Sequence[str]:
    """The IP addresses behind those presets ("python", "npm") here; empty when none can be found."""
    from sandbox.package_hosts import SCRIPT, TOOL_SECONDS, hosts_of

    asked = ["python3", "-I", "-c", SCRIPT, str(TOOL_SECONDS)]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    hosts = hosts_of(said)
    names = [urlsplit(origin).hostname for preset in presets for origin in hosts[preset]]
    return sorted({address for name in names for address in _resolved(str(name))})


def _resolved(name: str) -> list[str]:
    try:
        return [str(each[4][0]) for each in socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)]
    except socket.gaierror:
        return []
