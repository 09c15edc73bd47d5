"""A system-call filter for boxes whose builder brings none: the kernel refuses what no box needs.

Containers have a longer one from their engine (`sandbox/images/seccomp.json`). This one holds what namespaces
leave open: the wide parts of the kernel, namespaces of the box's own, and sockets outside network namespaces.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

# Numbers on x86_64, and in the table that arm64 shares with all newer architectures; None: no such call.
# Source: the kernel's syscall_64.tbl and include/uapi/asm-generic/unistd.h.
REFUSED = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
CLONE, CLONE3, SOCKET = (56, 220), (435, 435), (41, 198)
# Source: sched.h, every CLONE_NEW… flag.
NEW_NAMESPACES = 0x7E020000
# Unix, IPv4, IPv6, netlink: those that stay in the box's network namespace, where only loopback is.
FAMILIES = (1, 2, 10, 16)
# Source: audit.h. The other tables of a machine (32 bits, x32) have other numbers, so they are refused whole.
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
X32 = 0x40000000

# Source: seccomp(2), bpf_common.h, and struct seccomp_data: number, architecture, instruction, arguments.
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


class CannotFilter(Exception):
    """The kernel takes no filter; the message says why."""


def hold_system_calls() -> None:
    """From here on, for this process and all that it starts. An architecture without a table goes without.

    Raises: CannotFilter.
    """
    found = ARCHITECTURES.get(os.uname().machine)
    if found is None:
        return
    program = _program(*found)
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program)
    # struct sock_fprog: how many instructions, and where they are.
    described = ctypes.create_string_buffer(struct.pack("HL", len(program) // 8, ctypes.addressof(code)))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, described, 0, 0
    ):
        raise CannotFilter(f"the kernel takes no system-call filter: {os.strerror(ctypes.get_errno())}")


def _program(column: int, architecture: int) -> bytes:
    """The filter's instructions, in the machine's own byte order."""
    refuse, unknown = (_step(RETURN, ERRNO | code) for code in (errno.EPERM, errno.ENOSYS))
    allow = _step(RETURN, ALLOW)
    steps = [_step(LOAD, ARCHITECTURE), _step(EQUAL, architecture, 1, 0), refuse, _step(LOAD, NUMBER)]
    if column == 0:
        steps += [_step(AT_LEAST, X32, 0, 1), unknown]
    for numbers in REFUSED.values():
        number = numbers[column]
        if number is not None:
            steps += [_step(EQUAL, number, 0, 1), refuse]
    # Its flags lie in memory, where a filter cannot look: without it the library takes clone.
    steps += [_step(EQUAL, CLONE3[column], 0, 1), unknown]
    steps += [_step(EQUAL, CLONE[column], 0, 4), _step(LOAD, FIRST_ARGUMENT)]
    steps += [_step(ANY_BIT, NEW_NAMESPACES, 0, 1), refuse, allow]
    steps += [_step(EQUAL, SOCKET[column], 1, 0), allow, _step(LOAD, FIRST_ARGUMENT)]
    for family in FAMILIES:
        steps += [_step(EQUAL, family, 0, 1), allow]
    return b"".join([*steps, refuse])


def _step(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction; the jumps are how many further ones are left out. Source: struct sock_filter."""
    return struct.pack("HBBI", code, if_true, if_false, operand)
