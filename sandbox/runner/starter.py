"""The small process that every other one is started from.

To start a process the kernel copies the one that asks, and copying the runner takes longer than many a
command runs. So a process is split off before the runner loads what it needs, and stays small: what is loaded
here is in every box twice. It copies itself on the runner's behalf, so that the copy is the runner's child.
"""

from __future__ import annotations

# Without the Python side of `socket`, which is larger than all else here.
import _socket
import ctypes
import errno
import marshal
import os
import struct

# Source: prctl(2). Set before exec it stays with the shell, so that whatever its descendants orphan comes
# back to the shell and cannot leave the tree, not even through setsid.
PR_SET_CHILD_SUBREAPER = 36
# The kernel's out-of-memory killer shall choose the tool and not the runner.
TOOL_OOM_SCORE = b"800"
# A starter that takes longer was stopped by somebody, and will not answer.
ANSWER_SECONDS = 5.0

# Source: clone(2), signal(7), and the kernel's system-call tables.
CLONE_PARENT, SIGCHLD, SIGPIPE, SIGXFSZ, SIG_DFL = 0x8000, 17, 13, 25, None
CLONE_NUMBERS = {"x86_64": 56, "aarch64": 220}
LENGTH, DESCRIPTOR = struct.Struct(">I"), struct.Struct("i")
# The new process, and the error that there is none for.
ANSWER = struct.Struct("ii")

# It keeps the interpreter's lock during calls, which a copy of this process would find taken.
libc = ctypes.PyDLL(None, use_errno=True)


class StarterGone(Exception):
    """The starter has ended or does not answer. `asked`: it may have started what it was asked to."""

    def __init__(self, asked: bool) -> None:
        super().__init__("the process that starts the others does not answer")
        self.asked = asked


class Starter:
    """The runner's end of a starter."""

    def __init__(self, pid: int, line: _socket.socket) -> None:
        self.pid = pid
        self._line = line
        line.settimeout(ANSWER_SECONDS)

    def start(
        self, arguments: list[str], directory: str, env: dict[str, str], output: int, errors: bool
    ) -> int:
        """The process id of a new child of this process, in a session of its own, that writes to `output`.

        `errors` False throws away what it writes to stderr.

        Raises: OSError as the kernel gave it, StarterGone.
        """
        content = marshal.dumps((arguments, directory, env, errors))
        passed = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, DESCRIPTOR.pack(output))]
        try:
            self._line.sendmsg([LENGTH.pack(len(content))], passed)
            self._line.sendall(content)
        except OSError as error:
            raise StarterGone(asked=False) from error
        try:
            answer = self._line.recv(ANSWER.size)
        except OSError as error:
            raise StarterGone(asked=True) from error
        if len(answer) < ANSWER.size:
            raise StarterGone(asked=True)
        pid, failure = ANSWER.unpack(answer)
        if failure:
            raise OSError(failure, os.strerror(failure))
        return int(pid)

    def close(self) -> None:
        """The starter ends; what it started goes on."""
        self._line.close()


def clone_number() -> int | None:
    """The number of the system call that copies a process for its parent; None where it is not known."""
    return CLONE_NUMBERS.get(os.uname().machine) if struct.calcsize("P") == 8 else None


def split_off(clone: int | None) -> Starter:
    """A starter that is a copy of this process as it is now. Raises: OSError.

    `clone` is from `clone_number`; with None every start takes twice as long.
    """
    ours, theirs = _socket.socketpair()
    try:
        pid = os.fork()
        if pid == 0:
            _serve(theirs, clone)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return Starter(pid, ours)


def _serve(line: _socket.socket, clone: int | None) -> None:
    """The starter's life: until the runner has gone."""
    try:
        line.settimeout(None)
        _close_all_but({0, 1, 2, line.fileno()})
        # Python ignores these, and what is ignored stays so in every program that is run.
        for number in (SIGPIPE, SIGXFSZ):
            libc.signal(number, SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        while True:
            line.sendall(_started(line, null, clone))
    finally:
        os._exit(0)


def _close_all_but(kept: set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:  # the one that the listing itself had open
                pass


def _started(line: _socket.socket, null: int, clone: int | None) -> bytes:
    """The answer to the next request; the starter ends when there is none."""
    space = _socket.CMSG_SPACE(DESCRIPTOR.size)
    head, passed, _, _ = line.recvmsg(LENGTH.size, space, _socket.MSG_CMSG_CLOEXEC)
    if not passed:
        os._exit(0)
    (output,) = DESCRIPTOR.unpack(passed[0][2])
    (length,) = LENGTH.unpack(head)
    content = b""
    while len(content) < length:
        content += line.recv(length - len(content)) or os._exit(0)
    arguments, directory, env, errors = marshal.loads(content)
    reading, writing = os.pipe()
    try:
        pid = _copy(clone)
        if pid == 0:
            _become(arguments, directory, env, (null, output, output if errors else null), writing)
    except OSError as error:
        return ANSWER.pack(0, error.errno or errno.EIO)
    finally:
        os.close(writing)
        os.close(output)
        # Nothing comes where the program took the process over, which closed the other end.
        failure = os.read(reading, DESCRIPTOR.size)
        os.close(reading)
    return ANSWER.pack(pid, DESCRIPTOR.unpack(failure)[0] if failure else 0)


def _copy(clone: int | None) -> int:
    """As fork, but for the parent: the copy is a child of the runner. Raises: OSError."""
    if clone is None:
        return _copy_of_a_copy()
    nothing = ctypes.c_long(0)
    pid = int(libc.syscall(clone, ctypes.c_long(CLONE_PARENT | SIGCHLD), nothing, nothing, nothing, nothing))
    failure = ctypes.get_errno()
    if pid >= 0:
        return pid
    if failure in (errno.EINVAL, errno.ENOSYS):
        # A kernel that is not Linux itself.
        return _copy_of_a_copy()
    raise OSError(failure, os.strerror(failure))


def _copy_of_a_copy() -> int:
    """The same where no system call is known for it: whoever loses its parent comes to the runner."""
    reading, writing = os.pipe()
    try:
        between = os.fork()
        if between == 0:
            try:
                pid = os.fork()
                if pid == 0:
                    return 0
                os.write(writing, ANSWER.pack(pid, 0))
            except OSError as error:
                os.write(writing, ANSWER.pack(0, error.errno or errno.EIO))
            os._exit(0)
    finally:
        os.close(writing)
    answer = os.read(reading, ANSWER.size)
    os.close(reading)
    os.waitpid(between, 0)
    pid, failure = ANSWER.unpack(answer)
    if failure:
        raise OSError(failure, os.strerror(failure))
    return int(pid)


def _become(
    arguments: list[str], directory: str, env: dict[str, str], streams: tuple[int, int, int], failure: int
) -> None:
    """This process is that program from now on, or tells `failure` why not and ends."""
    try:
        os.setsid()
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(score, TOOL_OOM_SCORE)
        os.close(score)
        os.chdir(directory)
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        os.execvpe(arguments[0], arguments, env)
    except OSError as error:
        os.write(failure, DESCRIPTOR.pack(error.errno or errno.EIO))
    except ValueError:
        os.write(failure, DESCRIPTOR.pack(errno.EINVAL))
    finally:
        os._exit(127)
