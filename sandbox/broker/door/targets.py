"""What a request is aimed at: scheme, host, port, path and query, with every ambiguous form refused.

Two readers must never see different targets in one request: the door matches its rules against exactly what
it sends on, and whatever a server may read otherwise (dot segments, doubled or encoded slashes) goes nowhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

Scheme = Literal["http", "https"]
PORTS: dict[Scheme, int] = {"http": 80, "https": 443}

_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:/@?#\\]+)(?::(?P<port>[0-9]{1,5}))?")
_UNSEEN = re.compile(r"[^\x21-\x7e]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class BadTarget(Exception):
    """The request is aimed at something that can be read in two ways; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server as the box names it. host: lower case; an IPv6 address without its brackets."""

    scheme: Scheme
    host: str
    port: int

    @property
    def netloc(self) -> str:
        """`host`, or `host:port` where the port is not the scheme's own."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == PORTS[self.scheme] else f"{shown}:{self.port}"

    @property
    def url(self) -> str:
        """`scheme://host[:port]`."""
        return f"{self.scheme}://{self.netloc}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. query: what follows the `?`, None when there is no `?`."""

    endpoint: Endpoint
    path: str
    query: str | None

    @property
    def sent(self) -> str:
        """Path and query, as the server gets them."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    @property
    def url(self) -> str:
        """The address without its query."""
        return self.endpoint.url + self.path


def endpoint_of(authority: str, scheme: Scheme) -> Endpoint:
    """The server that `host[:port]` names. Raises: BadTarget."""
    if "@" in authority:
        raise BadTarget("The address holds a user name or password; leave it out, the door adds credentials.")
    found = _AUTHORITY.fullmatch(authority)
    if found is None or _UNSEEN.search(authority):
        raise BadTarget(f"{authority[:200]!r} is no host that the door can read.")
    port = int(found["port"] or PORTS[scheme])
    if not 1 <= port <= 65535:
        raise BadTarget(f"There is no port {port}.")
    return Endpoint(scheme, found["host"].strip("[]").lower(), port)


def target_of(raw: str, within: Endpoint | None) -> Target:
    """What the target of a request means. `within`: the server a tunnel was asked for, None outside of one.

    Raises: BadTarget, also when the target names another server than the tunnel's.
    """
    if _UNSEEN.search(raw):
        raise BadTarget("The address holds characters that must be percent-encoded.")
    if "#" in raw:
        raise BadTarget("The address holds a fragment; leave out the # and what follows.")
    if raw.startswith("/"):
        if within is None:
            raise BadTarget("The door is an HTTP proxy: use CONNECT, or a whole http:// address.")
        return _target(within, raw)
    scheme, found, rest = raw.partition("://")
    if not found or scheme.lower() not in PORTS:
        raise BadTarget(f"{raw[:200]!r} is no http address.")
    authority, slash, path = re.split(r"([/?]|$)", rest, maxsplit=1)
    if scheme.lower() == "https" and within is None:
        raise BadTarget("Ask for https addresses with CONNECT.")
    endpoint = endpoint_of(authority, "https" if scheme.lower() == "https" else "http")
    if within is not None and endpoint != within:
        raise BadTarget(f"The request names {endpoint.netloc} inside a tunnel to {within.netloc}.")
    return _target(endpoint, f"{slash}{path}" if slash == "/" else f"/{slash}{path}")


def demand_host(header: str | None, endpoint: Endpoint) -> None:
    """Return when the Host header (None: there is none) names the endpoint. Raises: BadTarget."""
    if header is not None and endpoint_of(header, endpoint.scheme) != endpoint:
        raise BadTarget(f"The Host header says {header[:200]}, but the request goes to {endpoint.netloc}.")


def decoded(path: str) -> str:
    """The path without percent-encoding."""
    return unquote(path, encoding="latin-1")


def _target(endpoint: Endpoint, raw: str) -> Target:
    path, mark, query = raw.partition("?")
    once = decoded(path)
    for form in (path, once, decoded(once)):
        if "//" in form or "\\" in form or _CONTROL.search(form) or any(map(_is_dots, form.split("/"))):
            raise BadTarget(
                "The path holds `.` or `..` parts, doubled or back slashes, plain or encoded. "
                "Write it out plainly."
            )
    return Target(endpoint, path, query if mark else None)


def _is_dots(segment: str) -> bool:
    # Some servers drop what follows a semicolon before they look at dots.
    return segment.split(";")[0] in {".", ".."}
