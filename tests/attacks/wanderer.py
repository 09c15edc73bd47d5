"""What code in a box tries to leave it by, beside the door; it runs in boxes only.

The last line of the output says what came of each way: `refused` with the cause, or `reached`.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

SECONDS = 2
# Source: netdevice(7), packet(7), vsock(7), icmp(7).
SIOCSIFADDR, AF_VSOCK, ALL_PROTOCOLS, HOST_CID = 0x8916, 40, 0x0003, 2


def connect(family: int, address: Any) -> None:
    """Raises: OSError unless something takes the connection."""
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.settimeout(SECONDS)
        made.connect(address)


def tell(family: int, address: Any) -> None:
    """A packet that asks for no answer. Raises: OSError where there is no way for it."""
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        made.sendto(b"from the box", address)


def resolve(name: str) -> None:
    if not socket.getaddrinfo(name, 80):
        raise OSError("no address")


def raw(family: int, kind: int, protocol: int) -> None:
    socket.socket(family, kind, protocol).close()


def take_an_address() -> None:
    """One of the host's network, on the only device there is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        address = struct.pack(
            "16sH2s4s8x", b"lo", socket.AF_INET, b"", socket.inet_aton(TOLD["addresses"][0])
        )
        fcntl.ioctl(made, SIOCSIFADDR, address)


def other_devices() -> None:
    names = {name for _, name in socket.if_nameindex()} - {"lo"}
    # Devices that every network namespace has and that lead nowhere while they are down.
    up = [name for name in names if _is_up(name)]
    if not up:
        raise OSError("there is loopback alone")


def _is_up(name: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        flags = fcntl.ioctl(made, 0x8913, struct.pack("16sH22x", name.encode(), 0))
    return bool(struct.unpack("16sH22x", flags)[1] & 1)


def ways() -> dict[str, Callable[[], None]]:
    """Each way by its name."""
    four, six, unix = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX
    found: dict[str, Callable[[], None]] = {}
    for address in TOLD["addresses"]:
        for port in TOLD["ports"]:
            found[f"tcp {address}:{port}"] = lambda to=(address, port): connect(four, to)  # type: ignore[misc]
            if not address.startswith("127."):
                found[f"udp {address}:{port}"] = lambda to=(address, port): tell(four, to)  # type: ignore[misc]
    for address in TOLD["addresses6"]:
        for port in TOLD["ports"]:
            found[f"tcp6 [{address}]:{port}"] = lambda to=(address, port): connect(six, to)  # type: ignore[misc]
            if address != "::1":
                found[f"udp6 [{address}]:{port}"] = lambda to=(address, port): tell(six, to)  # type: ignore[misc]
    for path in TOLD["sockets"]:
        found[f"socket {path}"] = lambda to=path: connect(unix, to)  # type: ignore[misc]
    for name in TOLD["abstract"]:
        found[f"abstract socket {name}"] = lambda to="\0" + name: connect(unix, to)  # type: ignore[misc]
        found[f"abstract datagram {name}"] = lambda to="\0" + name: tell(unix, to)  # type: ignore[misc]
    return {
        **found,
        "metadata": lambda: connect(four, ("169.254.169.254", 80)),
        "metadata by IPv6": lambda: connect(six, ("fd00:ec2::254", 80)),
        "multicast": lambda: tell(four, ("224.0.0.251", 5353)),
        "multicast by IPv6": lambda: tell(six, ("ff02::1", 5353)),
        "broadcast": lambda: tell(four, ("255.255.255.255", 67)),
        "a name": lambda: resolve(TOLD["name"]),
        "a name server": lambda: tell(four, ("192.0.2.53", 53)),
        "raw packets": lambda: raw(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)),
        "raw IP": lambda: raw(four, socket.SOCK_RAW, socket.IPPROTO_RAW),
        "raw ICMP": lambda: raw(four, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "raw IPv6": lambda: raw(six, socket.SOCK_RAW, socket.IPPROTO_RAW),
        "a virtual machine's host": lambda: connect(AF_VSOCK, (HOST_CID, 1024)),
        "virtual sockets": lambda: raw(AF_VSOCK, socket.SOCK_STREAM, 0),
        "an address of its own": take_an_address,
        "another device": other_devices,
    }


def outcome(way: Callable[[], None]) -> str:
    try:
        way()
    except OSError as error:
        return f"refused: {error.strerror or error}"
    return "reached"


with open(sys.argv[1], encoding="utf-8") as told:
    TOLD = json.load(told)
sys.stdout.write(json.dumps({name: outcome(way) for name, way in ways().items()}) + "\n")
