"""What code in a box does to come by another box's door, runner or files; it runs in boxes only.

The last line of the output says what came of each way: `refused` with the cause, or `had` what it had.
"""

from __future__ import annotations

import glob
import json
import os
import socket
import sys
from collections.abc import Callable

DOOR = "/run/bellhop-door"
OWN_SOCKETS = (f"{DOOR}/door.sock", "/run/bellhop/runner.sock")
OWN = {(os.stat(path).st_dev, os.stat(path).st_ino) for path in OWN_SOCKETS if os.path.exists(path)}
SECONDS = 2


def connect(path: str) -> str:
    """Raises: OSError unless something that is not the box's own takes the connection."""
    about = os.stat(path)
    if (about.st_dev, about.st_ino) in OWN:
        raise OSError("it is its own")
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(SECONDS)
        made.connect(path)
    return path


def first(act: Callable[[str], str], paths: list[str]) -> str:
    """What the act has of the first path it works on. Raises: OSError, that of the last."""
    last = OSError("there is none to try")
    for path in paths:
        try:
            return act(path)
        except OSError as error:
            last = error
    raise last


def guesses() -> list[str]:
    """Where another's sockets may be: as told, beside one's own, and as the mounts of this box suggest."""
    near = [
        f"{DOOR}/{up}/{name}/door.sock"
        for up in (".", "..", "../..", "../../doors")
        for name in TOLD["names"]
    ]
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        sources = {line.split()[3] for line in mounts}
    beside = [f"{os.path.dirname(source)}/{name}/door.sock" for source in sources for name in TOLD["names"]]
    return [*TOLD["sockets"], *near, *beside]


def by_a_link() -> str:
    def act(path: str) -> str:
        if os.path.lexists("link"):
            os.unlink("link")
        os.symlink(path, "link")
        return connect("link")

    return first(act, TOLD["sockets"])


def by_another_name() -> str:
    os.link(f"{DOOR}/../{TOLD['names'][0]}/door.sock", "/workspace/door.sock")
    return connect("/workspace/door.sock")


def by_processes() -> str:
    """Whatever a process of this box holds, or has as its root."""
    ways = ("root/run/bellhop-door/door.sock", "cwd/door.sock", "root/run/bellhop/runner.sock", "fd/*")
    return first(connect, [path for way in ways for path in glob.glob(f"/proc/[0-9]*/{way}")])


def by_the_parent() -> str:
    """The directories around its own, through descriptors. Raises: OSError unless another's is among them."""
    seen: list[str] = []
    for path in (DOOR, "/bellhop/in", "/run/bellhop", "/workspace"):
        above = os.open("..", os.O_RDONLY, dir_fd=os.open(path, os.O_RDONLY | os.O_DIRECTORY))
        seen += os.listdir(above)
    found = set(seen) & set(TOLD["names"])
    if not found:
        raise OSError("nothing but its own")
    return str(found)


def files() -> str:
    def act(path: str) -> str:
        with open(path, "rb") as file:
            return f"{path}: {file.read(20)!r}"

    return first(act, TOLD["files"])


def change_the_door() -> str:
    """Its own directory, so that whoever trusts the place finds something else there."""

    def put(path: str) -> str:
        os.symlink(TOLD["sockets"][0], path)
        return path

    def rename(path: str) -> str:
        os.rename(path, f"{path}.former")
        return path

    def write(path: str) -> str:
        os.close(os.open(path, os.O_WRONLY))
        return path

    held = [f"{DOOR}/door.sock", f"{DOOR}/authority.pem", f"{DOOR}/secrets"]
    for act, paths in ((put, [f"{DOOR}/new", f"{DOOR}/secrets/NEW"]), (rename, held), (write, held[1:2])):
        try:
            return first(act, paths)
        except OSError as error:
            last = error
    raise last


WAYS: dict[str, Callable[[], str]] = {
    "guessing": lambda: first(connect, guesses()),
    "a link": by_a_link,
    "another name": by_another_name,
    "processes": by_processes,
    "the directory above": by_the_parent,
    "files": files,
    "changing the door": change_the_door,
}


def outcome(way: Callable[[], str]) -> str:
    try:
        return f"had {way()}"
    except OSError as error:
        return f"refused: {error.strerror or error}"


with open(sys.argv[1], encoding="utf-8") as told:
    TOLD = json.load(told)
sys.stdout.write(json.dumps({name: outcome(way) for name, way in WAYS.items()}) + "\n")
