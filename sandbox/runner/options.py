"""What the runner is started with, read by hand: a library for it would be in the starter's memory too."""

from __future__ import annotations


class BadOption(Exception):
    """The command line is not one of a runner; the message says where."""


class Options:
    """The command line as attributes; None is no limit, no door, no other user."""

    def __init__(self) -> None:
        self.box = ""
        """An id that another box never has."""
        self.workspace = "/workspace"
        """Where the work is."""
        self.state = "/bellhop/state"
        """Where journal and long outputs go."""
        self.socket = "/run/bellhop/runner.sock"
        """Where to listen."""
        self.readable: list[str] = []
        """Further directories to read from."""
        self.door: str | None = None
        """The socket that is the box's only way out."""
        self.door_port = 3128
        """The loopback port in front of it."""
        self.filter = False
        """Refuse system calls that no box needs."""
        self.uid: int | None = None
        """The user to become, when started as root."""
        self.memory_bytes: int | None = None
        """Watched limit of all processes together."""
        self.disk_bytes: int | None = None
        """Watched limit of all that the box writes."""
        self.pids: int | None = None
        """Limit of processes of the user."""
        self.most_processes: int | None = None
        """How many the box may have, whoever holds it to that."""
        self.open_files: int | None = None
        """Limit of open files of a process."""


TEXTS = ("box", "workspace", "state", "socket", "door")
NUMBERS = ("door_port", "uid", "memory_bytes", "disk_bytes", "pids", "most_processes", "open_files")


def read_options(arguments: list[str]) -> Options:
    """The options of `--name value …`, with `--filter` alone and `--readable` as often as needed.

    Raises: BadOption.
    """
    options, left = Options(), iter(arguments)
    for argument in left:
        name = argument[2:].replace("-", "_")
        if argument == "--filter":
            options.filter = True
            continue
        value = next(left, None)
        if value is None:
            raise BadOption(f"{argument} has no value")
        if argument == "--readable":
            options.readable.append(value)
        elif argument.startswith("--") and name in TEXTS:
            setattr(options, name, value)
        elif argument.startswith("--") and name in NUMBERS and value.isdigit():
            setattr(options, name, int(value))
        else:
            raise BadOption(f"{argument} {value} is not understood")
    if not options.box:
        raise BadOption("--box is missing")
    return options
