"""Which addresses may be reached: a host is resolved once, every address is looked at, and the connection is
made to one of those and no other."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as text. Raises: OSError."""

_TRANSLATED = tuple(
    ip_network(text)
    for text in (
        "::/96",  # IPv4-compatible, RFC 4291 2.5.5.1
        "::ffff:0:0/96",  # IPv4-mapped
        "::ffff:0:0:0/96",  # IPv4-translated, RFC 2765
        "64:ff9b::/96",  # NAT64, RFC 6052
        "64:ff9b:1::/48",  # NAT64 of a network's own, RFC 8215
        "2001::/32",  # Teredo, RFC 4380
        "2002::/16",  # 6to4, RFC 3056
    )
)
"""IPv6 addresses that hold an IPv4 address: what they lead to is not what they look like."""

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class NotReachable(Exception):
    """The host is one that boxes never reach, whatever the rules say; the message says why."""


def literal(host: str) -> Address | None:
    """The address that the host is, None when it is a name.

    Raises: NotReachable for an address in another form than the usual one (one number, octal, hex, short).
    """
    try:
        return ip_address(host)
    except ValueError:
        if ":" in host or _NUMBER.fullmatch(host.rsplit(".", 1)[-1]):
            raise NotReachable(f"{host} is an address in an unusual form; name the host.") from None
        return None


def demand_name(host: str) -> None:
    """Return when the host is a full name. Raises: NotReachable."""
    labels = host.split(".")
    if len(labels) < 2 or len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise NotReachable(f"{host[:253]} is not a full host name such as api.example.com.")


def permitted(address: Address, networks: Sequence[Network]) -> bool:
    """Whether boxes may reach the address: a public one, or one in `networks`."""
    if isinstance(address, IPv6Address) and (address.scope_id or any(address in net for net in _TRANSLATED)):
        return False
    if any(address in network for network in networks):
        return True
    special = address.is_multicast or address.is_reserved or getattr(address, "is_site_local", False)
    return address.is_global and not special


async def resolve(host: str, port: int) -> Sequence[str]:
    """The host's addresses as this machine's resolver knows them. Raises: OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


async def reachable(
    host: str, port: int, networks: Sequence[Network], resolver: Resolver = resolve
) -> tuple[str, ...]:
    """The addresses to connect to for the host, and to no others. A literal address must be in `networks`.

    Raises: NotReachable, also when only one of several addresses may not be reached; OSError.
    """
    address = literal(host)
    if address is not None:
        if not any(address in network for network in networks) or not permitted(address, networks):
            raise NotReachable(f"{host} is an address and not a name; boxes reach hosts by name.")
        return (str(address),)
    demand_name(host)
    found = await resolver(host, port)
    if not found:
        raise OSError(f"{host} has no address")
    if not all(permitted(ip_address(each), networks) for each in found):
        raise NotReachable(
            f"{host} leads to an address that is not public. An administrator can name its network in "
            "EGRESS_NETWORKS."
        )
    return tuple(found)
