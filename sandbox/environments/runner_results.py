"""What the runner's operations return on the host's side, and the errors they raise.

Frames come out of a box that an agent controls, so every field is checked for its type here: a lying
runner gives a `RunnerError`, never a value of another shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Frame = Mapping[str, object]


class RunnerError(Exception):
    """An operation in the box failed; the message is one sentence that may be shown to the model."""


class RunnerGone(RunnerError):
    """The box does not answer: what was running is unknown, not failed. Open the box again and replay."""


class ToolRefused(RunnerError):
    """The operation was not done because its arguments do not allow it (bad path, no unique match, …)."""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """A command that ended. `exit_code` is None when it was ended from outside or its end is not known.

    `output` has stdout and stderr interleaved; past the inline limit it is head and tail, `spilled_path`
    names the file in the box with all of it, and `total_bytes` counts all of it. `cause` is a phrase for
    an end that was not the command's own doing ("out of memory", "timed out after 5 s", "interrupted: …").
    `strained` names what the command wanted more of than a box has, although it was not ended for that:
    "processes", or the "processor" until its time was up.
    `replayed` is True when the result comes from the journal, `interrupted` when the box ended under the
    command: how far it came is not known, and that it failed least of all.
    """

    exit_code: int | None
    output: str
    total_bytes: int
    spilled_path: str | None
    timed_out: bool
    cancelled: bool
    duration_seconds: float
    replayed: bool
    cause: str | None
    strained: tuple[str, ...] = ()
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class FileSlice:
    """Lines `first_line` (from 1) to `last_line` of a text file that has `total_lines`, without numbers."""

    path: str
    text: str
    first_line: int
    last_line: int
    total_lines: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class ByteSlice:
    """Bytes of a file from `offset`; `total_bytes` is the file's size."""

    data: bytes
    offset: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class WriteResult:
    path: str
    bytes_written: int
    created: bool
    replayed: bool


@dataclass(frozen=True, slots=True)
class EditResult:
    """An edit that was made. `matched_by` is "exact", "trailing whitespace" or "indentation"."""

    path: str
    replacements: int
    matched_by: str
    diff: str
    replayed: bool


@dataclass(frozen=True, slots=True)
class GrepResult:
    """Lines as `path:line:text`; `truncated` when `limit` cut them."""

    lines: tuple[str, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class GlobResult:
    """Paths relative to the workspace, sorted; `truncated` when `limit` cut them."""

    paths: tuple[str, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class BackgroundStatus:
    """A command that goes on beside the calls. `exit_code` is None while it runs or when it was ended.

    `cause` says why it was ended ("stopped", "out of memory", …), None when it was not.
    """

    job_id: str
    command: str
    running: bool
    exit_code: int | None
    total_bytes: int
    age_seconds: float
    cause: str | None


@dataclass(frozen=True, slots=True)
class BackgroundOutput:
    """Output from `offset` on; ask again from `next_offset`."""

    job_id: str
    text: str
    offset: int
    next_offset: int
    running: bool


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The workspace as a commit object. `head` is what HEAD points to, None before the first commit."""

    commit: str
    tree: str
    head: str | None


@dataclass(frozen=True, slots=True)
class BoxStats:
    """Use of the box now. `memory_bytes` and `oom_kills` are None where the kernel does not tell."""

    processes: int
    memory_bytes: int | None
    oom_kills: int | None
    workspace_bytes: int
    uptime_seconds: float


@dataclass(frozen=True, slots=True)
class RunnerInfo:
    """Who answers: the runner's version, its process id in the box, its Python, and the box's own id."""

    version: int
    pid: int
    python: str
    box: str


def text_of(frame: Frame, key: str) -> str:
    """The string at `key`. Raises: RunnerError."""
    value = frame.get(key)
    if not isinstance(value, str):
        raise RunnerError(f"the runner's answer has no text in {key!r}")
    return value


def optional_text_of(frame: Frame, key: str) -> str | None:
    return None if frame.get(key) is None else text_of(frame, key)


def int_of(frame: Frame, key: str) -> int:
    """The whole number at `key`. Raises: RunnerError."""
    value = frame.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RunnerError(f"the runner's answer has no number in {key!r}")
    return value


def optional_int_of(frame: Frame, key: str) -> int | None:
    return None if frame.get(key) is None else int_of(frame, key)


def seconds_of(frame: Frame, key: str) -> float:
    """The duration at `key`. Raises: RunnerError."""
    value = frame.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise RunnerError(f"the runner's answer has no seconds in {key!r}")
    return float(value)


def flag_of(frame: Frame, key: str) -> bool:
    """The boolean at `key`, False when absent. Raises: RunnerError."""
    value = frame.get(key, False)
    if not isinstance(value, bool):
        raise RunnerError(f"the runner's answer has no yes or no in {key!r}")
    return value


def texts_of(frame: Frame, key: str) -> tuple[str, ...]:
    """The list of strings at `key`. Raises: RunnerError."""
    value = frame.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RunnerError(f"the runner's answer has no list of texts in {key!r}")
    return tuple(value)
