"""Starts the runner: `python3 -m runner --box … --workspace … --state … --socket …`."""

from __future__ import annotations

import argparse
import ctypes
import os
import resource
import sys

from .kernel_filter import CannotFilter, hold_system_calls
from .starter import split_off

# Source: prctl(2) and capset(2).
PR_SET_DUMPABLE = 4
CAPABILITY_VERSION = 0x20080522


def read_arguments() -> argparse.Namespace:
    """What the program was called with."""
    parser = argparse.ArgumentParser(prog="runner", description="Serves one box over its Unix socket.")
    parser.add_argument("--box", required=True, help="an id that another box never has")
    parser.add_argument("--workspace", default="/workspace", help="where the work is")
    parser.add_argument("--state", default="/bellhop/state", help="where journal and long outputs go")
    parser.add_argument("--socket", default="/run/bellhop/runner.sock", help="where to listen")
    parser.add_argument("--readable", action="append", default=[], help="a further directory to read from")
    parser.add_argument("--door", help="the socket that is the box's only way out")
    parser.add_argument("--door-port", type=int, default=3128, help="the loopback port in front of it")
    parser.add_argument("--filter", action="store_true", help="refuse system calls that no box needs")
    parser.add_argument("--uid", type=int, help="the user to become, when started as root")
    parser.add_argument("--memory-bytes", type=int, help="watched limit of all processes together")
    parser.add_argument("--disk-bytes", type=int, help="watched limit of all that the box writes")
    parser.add_argument("--pids", type=int, help="limit of processes of the user")
    parser.add_argument(
        "--most-processes", type=int, help="how many the box may have, whoever holds it to that"
    )
    parser.add_argument("--open-files", type=int, help="limit of open files of a process")
    return parser.parse_args()


def become(uid: int) -> None:
    """From root to `uid` for good: the kernel drops every capability on the way."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    libc = ctypes.CDLL(None)
    # What root could hand on to the programs it runs is not cleared by the change of user.
    none = (ctypes.c_uint32 * 6)()
    libc.capset((ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), none)
    # The kernel hides a process that changed its user from itself: its files in /proc would be root's.
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def hold_limits(arguments: argparse.Namespace) -> None:
    """Limits that the kernel holds for each process from here on."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if arguments.pids is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (arguments.pids, arguments.pids))
    if arguments.open_files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (arguments.open_files, arguments.open_files))


def main() -> None:
    """The program."""
    arguments = read_arguments()
    if arguments.uid is not None and os.geteuid() == 0:
        become(arguments.uid)
    hold_limits(arguments)
    os.umask(0o022)
    try:
        if arguments.filter:
            hold_system_calls()
    except CannotFilter as error:
        sys.exit(f"The runner does not start: {error}.")
    starter = split_off()
    # Only now: what this loads is the most of the runner, and the starter must stay without it.
    from .serving import serve_box

    serve_box(arguments, starter)


if __name__ == "__main__":
    main()
