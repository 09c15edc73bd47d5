"""The box as built by util-linux alone: a shell script in fresh namespaces makes a root and moves into it."""

from __future__ import annotations

import os
from shlex import join, quote

from sandbox.environments.namespace_plan import DEVICES, Bind, BoxPlan

DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
# Nothing is left of root's powers but the change of user, which the runner makes as its first step.
TO_CHANGE_USER = "-all,+setuid,+setgid"
# A new network namespace has a loopback device that is down, and `ip` may not be installed.
# Source: netdevice(7), SIOCSIFFLAGS with IFF_UP.
RAISE_LOOPBACK = (
    "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH22x', b'lo', 1))"
)


def unshare_command(plan: BoxPlan) -> list[str]:
    """The command that builds the box and becomes its first process."""
    command = ["unshare", "--mount", "--pid", "--fork", "--net", "--ipc", "--uts", "--propagation", "private"]
    if plan.uid is None:
        command += ["--user", "--map-root-user"]
    return [*command, "sh", "-c", "\n".join(_script(plan))]


def _script(plan: BoxPlan) -> list[str]:
    root, pid_file = quote(str(plan.root)), quote(str(plan.pid_file))
    # /proc is still the host's here, so this is the process id that the host knows.
    lines = ["set -eu", f'read -r pid rest </proc/self/stat; echo "$pid" >{pid_file}']
    lines += [f"mkdir -p {root}", f"mount -t tmpfs -o mode=755,size=16m box {root}", f"cd {root}"]
    lines += ["mkdir -p proc dev .host"]
    for bind in plan.binds:
        lines += _bound(bind)
    lines += [f"ln -s {quote(target)} .{quote(path)}" for path, target in plan.links.items()]
    lines += ["mount -t proc -o nosuid,nodev,noexec proc proc"]
    for device in DEVICES:
        lines += _bound(Bind(f"/dev/{device}", f"/dev/{device}", writable=True))
    lines += [f"ln -s {target} dev/{name}" for name, target in DEVICE_LINKS.items()]
    for scratch in ("tmp", "dev/shm"):
        options = f"nosuid,nodev,mode=1777,size={plan.tmp_bytes}"
        lines += [f"mkdir -p {scratch}", f"mount -t tmpfs -o {options} box {scratch}"]
    lines.append(join([plan.python, "-I", "-c", RAISE_LOOPBACK]))
    lines += ["pivot_root . .host", "cd /", "umount -l /.host", "rmdir /.host"]
    lines += ["mount -o remount,bind,ro /", f"cd {quote(plan.workdir)}", _start(plan)]
    return lines


def _bound(bind: Bind) -> list[str]:
    source, target = quote(bind.source), "." + quote(bind.target)
    if os.path.isdir(bind.source):
        lines = [f"mkdir -p {target}"]
    else:
        lines = [f"mkdir -p .{quote(os.path.dirname(bind.target))}", f": >{target}"]
    lines.append(f"mount --rbind {source} {target}")
    return lines if bind.writable else [*lines, f"mount -o remount,bind,ro {target}"]


def _start(plan: BoxPlan) -> str:
    """The last line: the command, with no more powers than it needs."""
    command = plan.command
    if plan.uid is None:
        keep = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        return "exec " + join(["unshare", "--user", "--map-user=10001", "--map-group=10001", *keep, *command])
    keep = ["setpriv", f"--bounding-set={TO_CHANGE_USER}", "--inh-caps=-all", "--no-new-privs"]
    return "exec " + join([*keep, *command])
