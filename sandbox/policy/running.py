"""Which commands a script runs in the end: through wrappers, shells in shells, and what is fed to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from sandbox.policy.shell import Word, parse

MAX_DEPTH = 5
MAX_COMMANDS = 2000
"""More than a person would write; a script that says more is not read to its end."""

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "rbash", "fish"})
_WRAPPERS: dict[str, int] = {
    **dict.fromkeys(
        (
            "env", "sudo", "doas", "nice", "ionice", "nohup", "time", "command", "exec", "builtin", "setsid",
            "stdbuf", "unshare", "nsenter", "strace", "ltrace", "coproc", "busybox", "toybox", "fakeroot",
            "unbuffer", "watch", "parallel", "xargs", "su", "runuser", "script", "setpriv", "prlimit", "npx",
        ),
        0,
    ),
    **dict.fromkeys(("timeout", "chroot", "flock", "taskset", "chrt", "setarch", "faketime"), 1),
}  # fmt: skip
"""Programs that run another one, with the number of operands that come before its name."""
_PROJECT_RUNNERS = frozenset(
    {"uv", "poetry", "pipenv", "pdm", "hatch", "bundle", "npm", "pnpm", "yarn", "mise"}
)
_CODE_AFTER_C = frozenset({"su", "runuser", "script", "flock"})
_INTERPRETER = re.compile(
    r"^(?:python|pypy|perl|ruby|node|nodejs|deno|bun|php|lua|[gmn]?awk|tclsh|expect|vim?|ex|ed|emacs|gdb|make)"
    r"[\d.]*$"
)
_ASSIGNMENT = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*=")
_OPTIONS_WITH_VALUE = {
    "git": frozenset(
        {
            "-C",
            "-c",
            "--git-dir",
            "--work-tree",
            "--namespace",
            "--exec-path",
            "--super-prefix",
            "--config-env",
        }
    )
}
ANYTHING = Word("…", plain=False)


def takes_value(name: str, option: str) -> bool | None:
    """Whether that option of a command has its value in the next word; None: not known."""
    known = _OPTIONS_WITH_VALUE.get(name)
    return None if known is None else option in known


class Reading:
    """What a script was found to run.

    `commands` are word by word, the name without its path. `code` is text that other interpreters are given.
    `unreadable` says of each part that cannot be read why, in words.
    """

    def __init__(self, script: str) -> None:
        self.commands: list[tuple[Word, ...]] = []
        self.code: list[str] = []
        self.unreadable: list[str] = []
        self._written: set[str] = set()
        self._script(script, 0)

    def _script(self, text: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            self.unreadable.append("commands are nested too deeply in one another")
            return
        script = parse(text)
        if not script.readable:
            self.unreadable.append("a part of it does not parse as shell")
        self._written |= script.written
        for command in script.commands:
            self._command(command.words, command.fed, depth)

    def _command(self, words: Sequence[Word], fed: tuple[str, ...], depth: int) -> None:
        if not words:
            return
        if len(self.commands) >= MAX_COMMANDS:
            self.unreadable.append("it holds too many commands")
            return
        first = words[0]
        if not first.plain:
            self.unreadable.append(f"the name of a command is only known when it runs (`{first.text[:80]}`)")
            return
        name = first.name
        if name.startswith("git-"):
            words, name = [Word("git"), Word(name.removeprefix("git-")), *words[1:]], "git"
        self.commands.append((Word(name), *words[1:]))
        if name in self._written:
            self.unreadable.append(f"it runs `{name}`, which it makes itself")
        self._what_it_runs(name, words, fed, depth)

    def _what_it_runs(self, name: str, words: Sequence[Word], fed: tuple[str, ...], depth: int) -> None:
        rest = words[1:]
        if name in _SHELLS:
            self._shell(rest, fed, depth)
        elif name in ("source", "."):
            self._script_file(rest[:1], fed, depth)
        elif name in ("eval", "watch", "trap", "alias"):
            self._joined(name, rest, depth)
        elif name == "find":
            self._find(rest, fed, depth)
        elif name == "git":
            self._git_alias(rest, fed, depth)
        elif name == "hash":
            self.unreadable.append("it gives a command another name (`hash`)")
        elif _INTERPRETER.match(name):
            self.code += [*(word.text for word in rest), *fed]
        if name in _CODE_AFTER_C:
            self._code_after_c(rest, depth)
        if name in _WRAPPERS or name.startswith("ld-linux"):
            self._wrapped(name, rest, fed, depth)
        elif name in _PROJECT_RUNNERS and rest and rest[0].text in ("run", "exec", "x"):
            self._wrapped(name, rest[1:], fed, depth)

    def _shell(self, rest: Sequence[Word], fed: tuple[str, ...], depth: int) -> None:
        code, position = False, 0
        while position < len(rest) and (rest[position].is_option or rest[position].text.startswith("+")):
            option = rest[position].text
            if option in ("--version", "--help"):
                return
            code = code or (not option.startswith("--") and "c" in option)
            position += 2 if option in ("-o", "-O", "+o", "+O", "--rcfile", "--init-file") else 1
        if position < len(rest) and rest[position].text == "--":
            position += 1
        operand = rest[position : position + 1]
        if code:
            self._code(operand, depth)
        else:
            self._script_file(operand, fed, depth)

    def _script_file(self, operand: Sequence[Word], fed: tuple[str, ...], depth: int) -> None:
        """A script from a file, which is not looked into, or from what is fed, which is."""
        named = operand[0] if operand else Word("-")
        if named.text in ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"):
            if not fed:
                self.unreadable.append("a shell reads its commands from somewhere else")
            for text in fed:
                self._script(text, depth + 1)
        elif named.text.startswith("<(") or (named.plain and named.name in self._written):
            self.unreadable.append(f"a shell runs what is made while it runs (`{named.text[:80]}`)")

    def _code(self, operand: Sequence[Word], depth: int) -> None:
        if not operand:
            return
        if not operand[0].plain:
            self.unreadable.append("a shell is given code that is only known when it runs")
        # What is there of it is read all the same: a refusal counts for more than a question.
        self._script(operand[0].text if operand[0].plain else operand[0].text.strip('"'), depth + 1)

    def _code_after_c(self, rest: Sequence[Word], depth: int) -> None:
        for option, value in pairwise(rest):
            if option.text in ("-c", "--command"):
                self._code((value,), depth)

    def _joined(self, name: str, rest: Sequence[Word], depth: int) -> None:
        words = [word for word in rest if not word.is_option]
        if name == "alias":
            words = [Word(word.text.partition("=")[2], word.plain) for word in words]
        for group in [[word] for word in words] if name in ("alias", "trap") else [words]:
            text = Word(" ".join(word.text for word in group), all(word.plain for word in group))
            self._code((text,), depth)

    def _find(self, rest: Sequence[Word], fed: tuple[str, ...], depth: int) -> None:
        for position, word in enumerate(rest):
            if word.text in ("-exec", "-execdir", "-ok", "-okdir"):
                end = next((i for i in range(position, len(rest)) if rest[i].text in (";", "+")), len(rest))
                self._command(rest[position + 1 : end], fed, depth)

    def _git_alias(self, rest: Sequence[Word], fed: tuple[str, ...], depth: int) -> None:
        for option, value in pairwise(rest):
            alias, _, meaning = value.text.partition("=")
            if option.text == "-c" and alias.lower().startswith("alias."):
                if meaning.startswith("!"):
                    self._script(meaning[1:], depth + 1)
                else:
                    self._script(f"git {meaning}", depth + 1)

    def _wrapped(self, name: str, rest: Sequence[Word], fed: tuple[str, ...], depth: int) -> None:
        """The command that a wrapper runs. Which options have a value differs from one to the other, so a
        word after an option is taken for the command's name and, once more, for the option's value."""
        if name == "command" and rest and rest[0].text in ("-v", "-V"):
            return
        if name == "xargs":
            rest = [*rest, ANYTHING]
        operands, position, after_option = _WRAPPERS.get(name, 0), 0, False
        while position < len(rest):
            word = rest[position]
            if word.is_option or word.text == "--" or _ASSIGNMENT.match(word.text):
                after_option = word.is_option and "=" not in word.text
                if name == "env" and word.text.startswith(("-S", "--split-string")):
                    self._env_string(rest[position:], depth)
            elif operands:
                operands -= not after_option
                after_option = False
            else:
                if word is not ANYTHING:
                    self._command(rest[position:], fed, depth)
                if not after_option:
                    return
                after_option = False
            position += 1

    def _env_string(self, rest: Sequence[Word], depth: int) -> None:
        own = rest[0].text.removeprefix("--split-string").removeprefix("-S").lstrip("=")
        words = ([Word(own, rest[0].plain)] if own else []) + list(rest[1:])
        self._code((Word(" ".join(word.text for word in words), all(word.plain for word in words)),), depth)
