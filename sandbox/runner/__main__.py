"""Starts the runner: `python3 -m runner --box … --workspace … --state … --socket …`."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

from .kernel_filter import CannotFilter, hold_system_calls
from .options import BadOption, Options, read_options
from .starter import clone_number, libc, split_off

# Source: prctl(2) and capset(2).
PR_SET_DUMPABLE = 4
CAPABILITY_VERSION = 0x20080522


def become(uid: int) -> None:
    """From root to `uid` for good: the kernel drops every capability on the way."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # What root could hand on to the programs it runs is not cleared by the change of user.
    none = (ctypes.c_uint32 * 6)()
    libc.capset((ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), none)
    # The kernel hides a process that changed its user from itself: its files in /proc would be root's.
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def hold_limits(options: Options) -> None:
    """Limits that the kernel holds for each process from here on."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if options.pids is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (options.pids, options.pids))
    if options.open_files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (options.open_files, options.open_files))


def main() -> None:
    """The program."""
    try:
        options = read_options(sys.argv[1:])
        if options.uid is not None and os.geteuid() == 0:
            become(options.uid)
        hold_limits(options)
        os.umask(0o022)
        if options.filter:
            hold_system_calls()
    except (BadOption, CannotFilter) as error:
        sys.exit(f"The runner does not start: {error}.")
    starter = split_off(clone_number())
    # Only now: what this loads is the most of the runner, and the starter stays without it.
    from .serving import serve_box

    serve_box(options, starter)


if __name__ == "__main__":
    main()
