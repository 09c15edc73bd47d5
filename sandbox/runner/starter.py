"""The small process that every other one is started from.

To start a process the kernel copies the one that asks, and copying the runner takes longer than many a
command runs. So a process is split off before the runner loads what it needs, and stays small: what is loaded
here is in every box twice. It copies itself on the runner's behalf, so that the copy is the runner's child,
and is always one copy ahead, which has only to become the program when a command comes.
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
TRIES = 3

# Source: clone(2), signal(7), and the kernel's system-call tables.
CLONE_PARENT, SIGCHLD, SIGKILL, SIGPIPE, SIGXFSZ, SIG_DFL = 0x8000, 17, 9, 13, 25, None
CLONE_NUMBERS = {"x86_64": 56, "aarch64": 220}
LENGTH, NUMBER = struct.Struct(">I"), struct.Struct("i")
# The new process, and the error that there is none for.
ANSWER = struct.Struct("ii")

# It keeps the interpreter's lock during calls, which a copy of this process would find taken.
libc = ctypes.PyDLL(None, use_errno=True)


class StarterGone(Exception):
    """The starter has ended, or does not answer. Nothing was started."""


class Started:
    """A process that is what it was asked to be, or will be at once."""

    def __init__(self, pid: int, line: _socket.socket) -> None:
        self.pid = pid
        self.line = line
        """Readable once it is known whether the program could be run."""
        self._failure: int | None = None

    def failure(self) -> int:
        """The error that the program could not be run for; 0 if it could, or if that is not known yet."""
        if self._failure is None:
            try:
                said = self.line.recv(NUMBER.size, _socket.MSG_DONTWAIT)
            except BlockingIOError:
                return 0
            except OSError:
                said = b""
            # Nothing comes where the program took the process over, which closed the other end.
            self._failure = int(NUMBER.unpack(said)[0]) if said else 0
        return self._failure


class Starter:
    """The runner's end of a starter, which has a process in store: the next one."""

    def __init__(self, pid: int, line: _socket.socket) -> None:
        self.pid = pid
        self._line = line
        self._line.settimeout(ANSWER_SECONDS)
        self._spare: Started | None = None
        self._ordered: _socket.socket | None = None
        self._order()

    @property
    def processes(self) -> set[int]:
        """Those of its own: itself, and the one in store."""
        if self._ordered is not None:
            try:
                self._receive()
            except (OSError, StarterGone):
                # There is none, which whoever wants a process will hear.
                return {self.pid}
        return {self.pid} if self._spare is None else {self.pid, self._spare.pid}

    def start(
        self, arguments: list[str], directory: str, env: dict[str, str], output: int, errors: bool
    ) -> Started:
        """A new child of this process, in a session of its own, that writes to `output`.

        `errors` False throws away what it writes to stderr.

        Raises: OSError as the kernel gave it when there can be no further process, StarterGone.
        """
        content = marshal.dumps((arguments, directory, env, errors))
        passed = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, NUMBER.pack(output))]
        for _ in range(TRIES):
            started = self._taken()
            try:
                started.line.sendmsg([LENGTH.pack(len(content))], passed)
                started.line.sendall(content)
            except OSError:
                # Somebody in the box has killed it.
                started.line.close()
                continue
            # The next one is made while this one runs.
            self._order()
            return started
        raise BlockingIOError(errno.EAGAIN, "new processes are killed at once")

    def close(self) -> None:
        """The starter ends; what it started goes on."""
        self._line.close()
        if self._ordered is not None:
            self._ordered.close()
        if self._spare is not None:
            self._spare.line.close()

    def _taken(self) -> Started:
        if self._spare is None:
            if self._ordered is None:
                self._order()
            self._receive()
        taken, self._spare = self._spare, None
        assert taken is not None
        return taken

    def _order(self) -> None:
        ours, theirs = _socket.socketpair()
        passed = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, NUMBER.pack(theirs.fileno()))]
        try:
            self._line.sendmsg([b"."], passed)
        except OSError:
            # It has gone, which whoever wants a process will hear.
            pass
        finally:
            theirs.close()
        self._ordered = ours

    def _receive(self) -> None:
        assert self._ordered is not None
        line, self._ordered = self._ordered, None
        try:
            answer = self._line.recv(ANSWER.size)
        except OSError as error:
            line.close()
            raise StarterGone(f"the process that starts the others does not answer: {error}") from error
        if len(answer) < ANSWER.size:
            line.close()
            raise StarterGone("the process that starts the others has ended")
        pid, failure = ANSWER.unpack(answer)
        if failure:
            line.close()
            raise OSError(failure, os.strerror(failure))
        self._spare = Started(int(pid), line)


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
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        while True:
            _, passed = _received(line, 1)
            line.sendall(_spare(line, _socket.socket(fileno=passed), clone))
    finally:
        os._exit(0)


def _close_all_but(kept: set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:  # the one that the listing itself had open
                pass


def _received(line: _socket.socket, size: int) -> tuple[bytes, int]:
    """So many bytes and the descriptor that came with them; the end of this process when none come."""
    space = _socket.CMSG_SPACE(NUMBER.size)
    data, passed, _, _ = line.recvmsg(size, space, _socket.MSG_CMSG_CLOEXEC)
    if not passed:
        os._exit(0)
    return data, NUMBER.unpack(passed[0][2])[0]


def _spare(starter: _socket.socket, line: _socket.socket, clone: int | None) -> bytes:
    """The answer to an order, with a process that waits at `line` for what to be."""
    try:
        pid = _copy(clone)
        if pid == 0:
            # Held by a spare, it would hide the starter's end.
            starter.close()
            _become(line)
    except OSError as error:
        return ANSWER.pack(0, error.errno or errno.EIO)
    finally:
        line.close()
    return ANSWER.pack(pid, 0)


def _copy(clone: int | None) -> int:
    """As fork, but for the parent: the copy is a child of the runner. Raises: OSError."""
    if clone is None:
        return _copy_of_a_copy()
    nothing = ctypes.c_long(0)
    pid = int(libc.syscall(clone, ctypes.c_long(CLONE_PARENT | SIGCHLD), nothing, nothing, nothing, nothing))
    failure = ctypes.get_errno()
    if pid > 0 and _is_own(pid):
        # A kernel that is not Linux itself, such as gVisor's, may take the flag and not heed it.
        os.kill(pid, SIGKILL)
        os.waitpid(pid, 0)
        return _copy_of_a_copy()
    if pid >= 0:
        return pid
    if failure in (errno.EINVAL, errno.ENOSYS):
        # A kernel that is not Linux itself.
        return _copy_of_a_copy()
    raise OSError(failure, os.strerror(failure))


def _is_own(pid: int) -> bool:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


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


def _become(line: _socket.socket) -> None:
    """This process is the program that it is told to be, once it is told, or tells why not and ends."""
    try:
        os.setsid()
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(score, TOOL_OOM_SCORE)
        os.close(score)
        head, output = _received(line, LENGTH.size)
        (length,) = LENGTH.unpack(head)
        content = b""
        while len(content) < length:
            content += line.recv(length - len(content)) or os._exit(0)
        arguments, directory, env, errors = marshal.loads(content)
        os.chdir(directory)
        os.dup2(output, 1)
        if errors:
            os.dup2(output, 2)
        os.execvpe(arguments[0], arguments, env)
    except OSError as error:
        line.sendall(NUMBER.pack(error.errno or errno.EIO))
    except ValueError:
        line.sendall(NUMBER.pack(errno.EINVAL))
    finally:
        os._exit(127)
