"""What a box may need beside it: a database, a queue, whatever its repository's tests speak to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SERVICE_LABEL = "bellhop.service"
BESIDE_LABEL = "bellhop.beside"
"""A service's container has its name and that of the box it belongs to."""


class ServiceFailed(Exception):
    """A service is not there for its box; the message names it, says why and what to do."""


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
    ready_seconds: int = 60


def until_ready(command: str, seconds: int) -> str:
    """A shell script that succeeds as soon as the command does, and fails with its last words in time."""
    return (
        f"end=$(( $(date +%s) + {seconds} )); until said=$( ( {command}\n) 2>&1 ); do "
        'if [ "$(date +%s)" -ge "$end" ]; then echo "$said"; exit 1; fi; sleep 0.2; done'
    )
