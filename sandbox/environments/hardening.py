"""The flags of every container that this project creates, and the test for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.types import LogConfig, Mount, Ulimit

from sandbox.environments.protocol import DOOR, INBOUND, SandboxLimits
from sandbox.environments.runner_launch import RUNNER_MOUNT, SOCKET_MOUNT

BOX_USER = 10001
HOSTS = "/etc/hosts"
# What a container may see of the host, and whether it may write there.
MOUNTS = {RUNNER_MOUNT: False, INBOUND: False, DOOR: False, HOSTS: False, SOCKET_MOUNT: True}
# As an engine leaves a loopback that has nothing beside it. A kernel without IPv6 knows no such setting.
NO_IPV6 = {"net.ipv6.conf.all.disable_ipv6": "1"} if Path("/proc/sys/net/ipv6").is_dir() else {}
SECCOMP_PROFILE = Path(__file__).resolve().parent.parent / "images" / "seccomp.json"


@dataclass(frozen=True, slots=True)
class BoxMount:
    """A host directory as the container sees it."""

    source: Path
    target: str
    read_only: bool


def hardened_options(
    limits: SandboxLimits, mounts: tuple[BoxMount, ...], runtime: str | None, seccomp: str
) -> Mapping[str, Any]:
    """Keyword arguments of `containers.create` that leave a container with as little as it can work with.

    `seccomp` is the text of the profile. `runtime` None is the engine's own.

    Source: Docker Engine API, HostConfig.
    """
    return {
        "user": f"{BOX_USER}:{BOX_USER}",
        "network_mode": "none",
        # The kernel's new, empty network is all there is. To add nothing to it, the engine would start a copy
        # of itself.
        "network_disabled": True,
        "sysctls": NO_IPV6,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true", f"seccomp={seccomp}"],
        "privileged": False,
        "pids_limit": limits.pids,
        "mem_limit": limits.memory_bytes,
        # The same as memory: no swap.
        "memswap_limit": limits.memory_bytes,
        "nano_cpus": int(limits.cpus * 1_000_000_000),
        "ipc_mode": "private",
        "ulimits": [
            Ulimit(name="nofile", soft=limits.open_files, hard=limits.open_files),
            Ulimit(name="core", soft=0, hard=0),
        ],
        # The runner is the first process. It collects what others leave, nothing in the box can kill it, and
        # it lets go of the pipe to the engine's log, which the engine's own first process would hold open.
        "init": False,
        "log_config": LogConfig(type="local", config={"max-size": "1m", "max-file": "2"}),
        "tmpfs": {"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={limits.tmp_bytes}"},
        "mounts": [
            Mount(target=mount.target, source=str(mount.source), type="bind", read_only=mount.read_only)
            for mount in mounts
        ],
        "restart_policy": {"Name": "no"},
        **({"runtime": runtime} if runtime else {}),
    }


def softened(host_config: Mapping[str, Any], seccomp: str) -> list[str]:
    """What a container's HostConfig lacks of the above; empty when it is as it should be."""
    expected: dict[str, object] = {
        "NetworkMode": "none",
        "CapDrop": ["ALL"],
        "CapAdd": None,
        "SecurityOpt": ["no-new-privileges:true", f"seccomp={seccomp}"],
        "Privileged": False,
        "IpcMode": "private",
        "PidMode": "",
        "UTSMode": "",
        "Init": False,
        "Sysctls": NO_IPV6,
        "LogConfig": {"Type": "local", "Config": {"max-size": "1m", "max-file": "2"}},
        "PublishAllPorts": False,
        "PortBindings": {},
        "Devices": None,
        "AutoRemove": False,
    }
    wrong = [
        f"{key} is {host_config.get(key)!r}, not {value!r}"
        for key, value in expected.items()
        # The engine answers an empty list as null, and the other way round.
        if (host_config.get(key) or None) != (value or None)
    ]
    if not 0 < int(host_config.get("PidsLimit") or 0) <= 4096:
        wrong.append(f"PidsLimit is {host_config.get('PidsLimit')!r}")
    if not host_config.get("Memory") or host_config.get("Memory") != host_config.get("MemorySwap"):
        wrong.append("Memory and MemorySwap differ or are not set")
    if not host_config.get("NanoCpus"):
        wrong.append("NanoCpus is not set")
    limits = {limit["Name"]: limit["Hard"] for limit in host_config.get("Ulimits") or []}
    if limits.get("core") != 0 or not limits.get("nofile"):
        wrong.append(f"Ulimits are {limits!r}")
    if set(host_config.get("Tmpfs") or {}) != {"/tmp"}:
        wrong.append(f"Tmpfs is {host_config.get('Tmpfs')!r}")
    if host_config.get("Binds"):
        wrong.append(f"Binds are {host_config.get('Binds')!r}")
    for mount in host_config.get("Mounts") or []:
        writable = not mount.get("ReadOnly", False)
        if mount["Type"] != "bind" or MOUNTS.get(mount["Target"]) not in (True, writable):
            wrong.append(f"Mounts has {mount!r}")
    return wrong
