"""What the bot says of a session's sandbox: what used it up, and that it was replaced."""

from __future__ import annotations

from collections.abc import Sequence

from bot.long_text import one_line
from session import events as e

_LIMITS: dict[e.Limit, str] = {
    "memory": "a command ran out of memory and was ended",
    "disk": "a command filled the sandbox's disk and was ended",
    "processes": "a command started more processes than a sandbox may have, and got no more",
    "processor": "a command kept the processor busy until its time was up, and was ended",
    "output": "a command printed more than is kept, and the rest was thrown away",
}


def kind(isolation: str) -> str:
    """Which kind of sandbox it is. What that means in detail follows after a colon, and is for the page."""
    name = one_line(isolation.partition(":")[0], 100)
    return f"Sandbox: {name[:1].lower()}{name[1:]}"


def limits_reached(limits: Sequence[e.Limit]) -> str:
    """What used up the sandbox, and that it goes on."""
    words = "; ".join(_LIMITS[limit] for limit in limits)
    return f"{words[:1].upper()}{words[1:]}. That was contained: the sandbox goes on."


def replaced(ready: e.SandboxReady, died: str) -> str:
    """Said when a session has another sandbox: what came back in it and what did not. `died`: why the former
    one is gone, where that is known."""
    why = f" The former one is gone: {died}." if died else ""
    restored = ready.restored.rstrip(".")
    back = f"Restored: {restored}." if restored else _nothing_back(ready)
    since = "what was changed since then, " if died else ""
    return f"**The sandbox is a new one.**{why} {back} Lost: {since}{_what_ran(ready)}."


def restarted(ready: e.SandboxReady, died: str) -> str:
    """Said when the sandbox ended under the work and is the same again, with its files."""
    return (
        f"**The sandbox had to be started again:** {died}. Its files are as they were. "
        f"Lost: {_what_ran(ready)}."
    )


def _nothing_back(ready: e.SandboxReady) -> str:
    if ready.let_go:
        return (
            "What was saved of the work is gone: it is not kept for ever, and this session was quiet for too "
            "long. The workspace is as the repository has it."
        )
    return "Nothing had been saved before, so nothing came back."


def _what_ran(ready: e.SandboxReady) -> str:
    held = f", and what its services held ({', '.join(ready.services)})" if ready.services else ""
    return f"whatever ran in it{held}"
