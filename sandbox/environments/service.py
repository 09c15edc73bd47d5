"""What a box may need beside it: a database, a queue, whatever its repository's tests speak to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

SERVICE_LABEL = "bellhop.service"
BESIDE_LABEL = "bellhop.beside"
SPEC_LABEL = "bellhop.service-spec"
"""A service's container has its name, that of the box it belongs to, and what it was made as."""

SERVICE_DISK_BYTES = 1024**3
"""The most that a service may write beside its volumes, which are memory."""

MOST_SERVICES = 8
"""A box's limits do not count what runs beside it, so how much that is has a bound of its own."""

READY_SECONDS = 60
OVER = 3
"""The exit code of a wait for what has ended meanwhile."""
MOST_READY_SECONDS = 600
SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
OWN_NAMES = frozenset({"localhost", "bellhop"})
"""What a box calls itself."""


class ServiceFailed(Exception):
    """A service is not there for its box.

    `what` goes on after its name, in one sentence; the message is that with what the service said last.
    """

    def __init__(self, name: str, what: str, said: str = "") -> None:
        super().__init__(f"The service {name} {what}{said and f' Its last output:{chr(10)}{said}'}")
        self.name = name
        self.what = what


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A service in a container of its own, made of `image`, which the box reaches on its loopback.

    `command` are the words it is started with, none for the image's own. `ready` is a shell command that
    succeeds in its container once it answers; empty: it is ready when it runs.
    """

    name: str
    image: str
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    ready: str = ""
    ready_seconds: int = READY_SECONDS


@dataclass(frozen=True, slots=True)
class BoxProgram:
    """A service that is a program of the box itself. `command` and `ready` are shell commands in it; `ready`
    succeeds once the program answers."""

    name: str
    command: str
    ready: str
    env: Mapping[str, str] = field(default_factory=dict)
    ready_seconds: int = READY_SECONDS


@dataclass(frozen=True, slots=True)
class WantedServices:
    """The services that a repository names, in the order in which they are to start.

    `notes` say what of its wishes is not followed, `mistake` why they could not be read at all.
    """

    services: tuple[ServiceSpec | BoxProgram, ...] = ()
    notes: tuple[str, ...] = ()
    mistake: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What the services are called in the box."""
        return tuple(service.name for service in self.services)


def bad_name(name: str) -> str:
    """What is wrong with a service's name; empty when nothing is."""
    if name.lower() in OWN_NAMES:
        return f"{name!r} is the box itself: give the service another name"
    if not SERVICE_NAME.fullmatch(name):
        return f"{name!r} cannot name a service: use letters, digits, - and _, at most 63"
    return ""


def until_ready(command: str, seconds: int, over: str = "false") -> str:
    """A shell script that succeeds as soon as the command does.

    It fails with the command's last words when the time is up, and ends with `OVER` once the shell command
    `over` succeeds.
    """
    return (
        f"end=$(( $(date +%s) + {seconds} )); until said=$( ( {command}\n) 2>&1 ); do "
        f'if {over}; then echo "$said"; exit {OVER}; fi; '
        'if [ "$(date +%s)" -ge "$end" ]; then echo "$said"; exit 1; fi; sleep 0.2; done'
    )
