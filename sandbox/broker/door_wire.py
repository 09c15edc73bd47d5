"""What travels between a worker and the broker about the doors of boxes."""

from __future__ import annotations

from sandbox.broker.door.parts import EgressRefused
from session.people import Declared


class OpenDoor(Declared):
    """A door for a box of a session. `package_hosts`: what each preset stands for in boxes of its image."""

    session_id: str
    box: str
    package_hosts: dict[str, tuple[str, ...]]


class OpenBuildDoor(Declared):
    """A door for the box in which a repository's image is built."""

    repository: str
    box: str
    package_hosts: dict[str, tuple[str, ...]]


class OpenWaitingDoor(Declared):
    """A door for a box that waits for a session of that repository."""

    repository: str
    box: str


class DoorIsOpen(Declared):
    """The door's directory on this host, and the names of the secrets that lie in it for the box."""

    directory: str
    secrets: tuple[str, ...]


class OfBox(Declared):
    """Which box's door is meant."""

    box: str


class Refused(Declared):
    """What a box's door refused since the number `after`."""

    box: str
    after: int


class Refusals(Declared):
    """Refused requests, in their order."""

    refused: tuple[EgressRefused, ...]
