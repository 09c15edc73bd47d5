"""The flags of every container that this project creates, and the test for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.types import LogConfig, Mount, Ulimit

from sandbox.environments.protocol import DOOR, INBOUND, SandboxLimits
from sandbox.environments.runner_launch import RUNNER_MOUNT, SOCKET_MOUNT

BOX_USER = 10001
HOSTS = "/etc/hosts"
SERVICE_DATA_BYTES = 512 * 1024**2
# What a container may see of the host, and whether it may write there.
MOUNTS = {RUNNER_MOUNT: False, INBOUND: False, DOOR: False, HOSTS: False, SOCKET_MOUNT: True}
# As an engine leaves a loopback that has nothing beside it. A kernel without IPv6 knows no such setting.
NO_IPV6 = {"net.ipv6.conf.all.disable_ipv6": "1"} if Path("/proc/sys/net/ipv6").is_dir() else {}
SERVICE_DATA = f"rw,noexec,nosuid,nodev,mode=0700,uid={BOX_USER},gid={BOX_USER},size={SERVICE_DATA_BYTES}"
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


def service_options(
    limits: SandboxLimits,
    box_id: str,
    hosts: Path,
    data: Sequence[str],
    runtime: str | None,
    seccomp: str,
) -> Mapping[str, Any]:
    """The same for a service beside the box with that id: in its network, with its names, and with nothing
    else of the host.

    `data` are the paths that its image declares as volumes. They are memory, which the limits count, and
    belong to the container's user.
    """
    options = dict(hardened_options(limits, (BoxMount(hosts, HOSTS, read_only=True),), runtime, seccomp))
    # The network is the box's, as it was made for that.
    del options["network_disabled"], options["sysctls"]
    tmpfs = {**dict.fromkeys(data, SERVICE_DATA), **options["tmpfs"]}
    # Whoever wrote the service did not mean it to be a first process, which collects what others leave.
    return {**options, "network_mode": f"container:{box_id}", "tmpfs": tmpfs, "init": True}


def softened(
    host_config: Mapping[str, Any], seccomp: str, network: str = "none", data: Sequence[str] = ()
) -> list[str]:
    """What a container's HostConfig lacks of the above; empty when it is as it should be.

    A service's `network` is `container:` with the id of its box, its `data` what its image declares as
    volumes.
    """
    expected: dict[str, object] = {
        "NetworkMode": network,
        "CapDrop": ["ALL"],
        "CapAdd": None,
        "SecurityOpt": ["no-new-privileges:true", f"seccomp={seccomp}"],
        "Privileged": False,
        "IpcMode": "private",
        "PidMode": "",
        "UTSMode": "",
        "Init": network != "none",
        "Sysctls": NO_IPV6 if network == "none" else None,
        "LogConfig": {"Type": "local", "Config": {"max-size": "1m", "max-file": "2"}},
        "PublishAllPorts": False,
        "PortBindings": {},
        "Devices": None,
        "ExtraHosts": None,
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
    tmpfs = host_config.get("Tmpfs") or {}
    private = {path: options for path, options in tmpfs.items() if path != "/tmp"}
    if "/tmp" not in tmpfs or private != {path: SERVICE_DATA for path in data if path != "/tmp"}:
        wrong.append(f"Tmpfs is {tmpfs!r}")
    if host_config.get("Binds"):
        wrong.append(f"Binds are {host_config.get('Binds')!r}")
    # A service sees nothing of the host but the file of its box's names.
    allowed = MOUNTS if network == "none" else {HOSTS: False}
    for mount in host_config.get("Mounts") or []:
        writable = not mount.get("ReadOnly", False)
        if mount["Type"] != "bind" or allowed.get(mount["Target"]) not in (True, writable):
            wrong.append(f"Mounts has {mount!r}")
    return wrong
