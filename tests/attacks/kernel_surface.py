"""What code in a box tries on the kernel that it shares with the host; it runs in boxes only.

Each act does the least that shows whether it would work, and nothing with it. The last line of the output
says what came of each: `refused` with the cause, or `worked`.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import json
import os
import platform
import resource
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable

ACT_SECONDS = 60
LIBC = ctypes.CDLL(None, use_errno=True)
# x86_64, and the table that all newer architectures share. Source: the kernel's syscall tables.
NUMBERS = {
    "io_uring_setup": (425, 425),
    "mount": (165, 40),
    "fsopen": (430, 430),
    "open_tree": (428, 428),
    "unshare": (272, 97),
    "clone": (56, 220),
    "clone3": (435, 435),
    "setns": (308, 268),
    "bpf": (321, 280),
    "add_key": (248, 217),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "open_by_handle_at": (304, 265),
    "finit_module": (313, 273),
    "chroot": (161, 51),
    "sethostname": (170, 161),
    "acct": (163, 89),
    "syslog": (103, 116),
}
COLUMN = 0 if platform.machine() == "x86_64" else 1
X32 = 0x40000000
NEWUSER, NEWNET, NEWNS = 0x10000000, 0x40000000, 0x00020000
MS_REMOUNT, MS_BIND = 32, 4096
HERE = -100  # AT_FDCWD


def call(name: str, *arguments: object, abi: int = 0) -> int:
    """The system call's result. Raises: OSError."""
    ctypes.set_errno(0)
    result = LIBC.syscall(ctypes.c_long(NUMBERS[name][COLUMN] | abi), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)


def block(size: int, *words: int, at: tuple[int, int] = (0, 0)) -> ctypes.Array[ctypes.c_char]:
    """A zeroed structure that begins with these 32-bit words; `at` is one more byte, with its place."""
    content = bytearray(b"".join(word.to_bytes(4, "little") for word in words).ljust(size, b"\0"))
    place, value = at
    content[place] |= value
    return ctypes.create_string_buffer(bytes(content), size)


def clone_into_a_user_namespace() -> None:
    if call("clone", NEWUSER | signal.SIGCHLD, 0, 0, 0, 0) == 0:
        os._exit(0)


def clone3_into_a_user_namespace() -> None:
    if call("clone3", block(88, NEWUSER, at=(32, signal.SIGCHLD)), 88) == 0:
        os._exit(0)


def mount_as_root_of_a_namespace() -> None:
    call("unshare", NEWUSER | NEWNS)
    call("mount", b"none", b"/tmp", b"tmpfs", 0, 0)


def open_by_handle() -> None:
    """The root of the file system that a mounted directory is from, whose inode number is known to be 2."""
    mounted = os.open("/opt/bellhop/runner", os.O_RDONLY)
    call("open_by_handle_at", mounted, block(136, 8, 1, 2, 0), os.O_RDONLY)


# Each by what the attacker would have. Perf events without the kernel and the hypervisor, and page faults of
# programs alone, are what the unprivileged may have by default.
CALLS: dict[str, Callable[[], object]] = {
    "io_uring": lambda: call("io_uring_setup", 8, block(120)),
    "io_uring by another table": lambda: call("io_uring_setup", 8, block(120), abi=X32),
    "vsock": lambda: socket.socket(40, socket.SOCK_STREAM),
    "crypto sockets": lambda: socket.socket(38, socket.SOCK_SEQPACKET),
    "a mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, 0),
    "a writable root": lambda: call("mount", 0, b"/", 0, MS_REMOUNT | MS_BIND, 0),
    "a mount the new way": lambda: call("fsopen", b"tmpfs", 0),
    "a copy of the mounts": lambda: call("open_tree", HERE, b"/", 1),
    "a user namespace": lambda: call("unshare", NEWUSER),
    "a user namespace by clone": clone_into_a_user_namespace,
    "a user namespace by clone3": clone3_into_a_user_namespace,
    "a network of its own": lambda: call("unshare", NEWNET),
    "root that mounts": mount_as_root_of_a_namespace,
    "another's namespace": lambda: call("setns", os.open("/proc/1/ns/net", os.O_RDONLY), 0),
    "bpf": lambda: call("bpf", 0, block(72, 2, 4, 4, 1), 72),
    "a key": lambda: call("add_key", b"user", b"attack", b"x", 1, -2),
    "the worker's key ring": lambda: call("keyctl", 0, -3, 0),
    "perf events": lambda: call("perf_event_open", block(128, 1, 128, at=(40, 0x60)), 0, -1, -1, 0),
    "page faults": lambda: call("userfaultfd", os.O_CLOEXEC | 1),
    "a file by its handle": open_by_handle,
    "a kernel module": lambda: call("finit_module", -1, b"", 0),
    "another root": lambda: call("chroot", b"/tmp"),
    "the host's name": lambda: call("sethostname", b"attack", 6),
    "accounting": lambda: call("acct", 0),
    "the kernel's log": lambda: call("syslog", 3, ctypes.create_string_buffer(4096), 4096),
}


def first_that_opens(paths: list[str], flags: int) -> None:
    """Opens one of them, and writes nothing. Raises: OSError, that of the last."""
    last = OSError(errno.ENOENT, "none of them is there")
    for path in paths:
        try:
            os.close(os.open(path, flags))
            return
        except OSError as error:
            last = error
    raise last


WRITE = os.O_WRONLY | os.O_CREAT
RUNNER = "/opt/bellhop/runner"
FILES: dict[str, Callable[[], object]] = {
    "the system's settings": lambda: first_that_opens(
        ["/etc/passwd", "/etc/ld.so.preload", "/etc/pip.conf", "/etc/new"], WRITE
    ),
    "the system's programs": lambda: first_that_opens(
        ["/usr/bin/env", "/usr/bin/new", "/usr/local/bin/new", "/bin/new"], WRITE
    ),
    "the runner's files": lambda: first_that_opens(
        [f"{RUNNER}/execute.py", f"{RUNNER}/new.py", "/opt/bellhop/new"], WRITE
    ),
    "the runner's place": lambda: os.rename("/opt/bellhop", "/opt/former"),
    "what was handed in": lambda: first_that_opens(["/bellhop/in/new"], WRITE),
    "the kernel's buttons": lambda: first_that_opens(
        [
            "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
            "/sys/kernel/uevent_helper", "/sys/power/state",
        ],
        os.O_WRONLY,
    ),
    "the machine's memory": lambda: first_that_opens(
        ["/dev/mem", "/dev/kmem", "/dev/port", "/proc/kcore", "/proc/kmsg"], os.O_RDONLY
    ),
    "devices": lambda: first_that_opens(
        [
            "/dev/kvm", "/dev/vsock", "/dev/fuse", "/dev/net/tun", "/dev/kmsg", "/dev/loop-control",
            *filter(is_block, glob.glob("/dev/*")),
        ],
        os.O_RDONLY,
    ),
    "its limits": lambda: first_that_opens(
        [
            *glob.glob("/sys/fs/cgroup/*.max"), *glob.glob("/sys/fs/cgroup/*/*limit*"),
            "/sys/fs/cgroup/cgroup.procs",
        ],
        os.O_WRONLY,
    ),
    "a device of its own": lambda: os.mknod("/workspace/disk", stat.S_IFBLK | 0o600, os.makedev(8, 0)),
}  # fmt: skip


def is_block(path: str) -> bool:
    try:
        return stat.S_ISBLK(os.stat(path).st_mode)
    except OSError:
        return False


def more_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard + 1, hard + 1))
    except ValueError as error:
        raise OSError(errno.EPERM, str(error)) from error


def spared_when_memory_ends() -> None:
    """Below what it began with: the kernel would end the runner, or the host's programs, first."""
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("-1000")


def a_setuid_program() -> None:
    said = subprocess.run(["/workspace/setuid-id", "-u"], stdout=subprocess.PIPE, check=True).stdout
    if int(said) != 0:
        raise OSError(errno.EPERM, "it ran as the caller")


def see_what_is_outside() -> None:
    """Another's process, told from those of the box by what its environment holds."""
    for entry in glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(entry, "rb") as file:
                if TOLD["mark"].encode() in file.read():
                    return
        except OSError:
            continue
    raise OSError(errno.ESRCH, "no process of the host is to be seen")


POWERS: dict[str, Callable[[], object]] = {
    "more open files": more_open_files,
    "the first place": lambda: os.setpriority(os.PRIO_PROCESS, 0, -20),
    "to be spared when memory ends": spared_when_memory_ends,
    "a setuid program": a_setuid_program,
    "the user root": lambda: os.setuid(0),
    "processes of the host": see_what_is_outside,
}


def apart(act: Callable[[], object]) -> str:
    """What came of the act, in a process of its own that it may change."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(ACT_SECONDS)
        try:
            act()
            os.write(writing, b"worked")
        except OSError as error:
            os.write(writing, f"refused: {error.strerror}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        outcome = said.read().decode()
    _, status = os.waitpid(child, 0)
    return outcome or f"broke: status {status}"


TOLD: dict[str, str] = {}

if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as told:
        TOLD.update(json.load(told))
    sys.stdout.write(
        json.dumps({name: apart(act) for name, act in {**CALLS, **FILES, **POWERS}.items()}) + "\n"
    )
