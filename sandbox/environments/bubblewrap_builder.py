"""The box as built by bubblewrap."""

from __future__ import annotations

import shlex
from pathlib import Path

from sandbox.environments.namespace_plan import BoxPlan


def bubblewrap_command(plan: BoxPlan) -> list[str]:
    """The box as built by bubblewrap; its first process is told through descriptor 3."""
    command = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    command += ["--unshare-cgroup-try", "--hostname", "bellhop", "--cap-drop", "ALL"]
    if plan.uid is None:
        command += ["--unshare-user", "--disable-userns", "--uid", "10001", "--gid", "10001"]
    else:
        # The runner becomes `uid` with these two, and has none left after that.
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    # Made first, or bubblewrap would give them the modes of the private directories that are bound below.
    for directory in sorted({parent for bind in plan.binds for parent in _parents(bind.target)}):
        command += ["--perms", "0755", "--dir", directory]
    for bind in plan.binds:
        command += ["--bind" if bind.writable else "--ro-bind", bind.source, bind.target]
    for path, target in plan.links.items():
        command += ["--symlink", target, path]
    command += ["--proc", "/proc", "--dev", "/dev"]
    for scratch in ("/tmp", "/dev/shm"):
        command += ["--perms", "1777", "--size", str(plan.tmp_bytes), "--tmpfs", scratch]
    command += ["--remount-ro", "/"]
    script = f"exec {shlex.join([*command, '--chdir', plan.workdir, '--info-fd', '3', '--', *plan.command])}"
    return ["sh", "-c", f"exec 3>{shlex.quote(str(plan.pid_file))}; {script}"]


def _parents(target: str) -> list[str]:
    return [str(parent) for parent in Path(target).parents if str(parent) != "/"]
