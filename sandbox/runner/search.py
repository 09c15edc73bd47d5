"""Finding files by name and lines by pattern, leaving out what git ignores."""

from __future__ import annotations

import os
import re
from typing import Iterator

from .arguments import Args, Result, flag, optional_text, text, whole
from .places import Places
from .processes import Processes
from .refusal import Failed, Refused

MOST_OUTPUT_BYTES = 4 * 1024 * 1024
MOST_LIST_BYTES = 32 * 1024 * 1024
MOST_LINE_CHARACTERS = 500
NEVER_SEARCHED = {".git", ".hg", ".svn"}


class Search:
    """`grep` and `glob` inside the workspace. Raises (both): Refused, Failed."""

    def __init__(self, processes: Processes, places: Places, ripgrep: bool = True) -> None:
        self._processes = processes
        self._places = places
        self._may_use_ripgrep = ripgrep

    async def grep(self, args: Args) -> Result:
        """Lines that match, as `path:line:text`, in the order of the paths."""
        pattern, limit = text(args, "pattern"), whole(args, "limit", 200, 1, 10_000)
        directory = self._places.readable(optional_text(args, "path") or ".")
        file_glob, ignore_case = optional_text(args, "glob"), flag(args, "ignore_case")
        ripgrep = _ripgrep() if self._may_use_ripgrep else None
        if ripgrep is not None:
            lines = await self._with_ripgrep(ripgrep, pattern, directory, file_glob, ignore_case)
        else:
            lines = await self._by_hand(pattern, directory, file_glob, ignore_case, limit)
        return {"lines": lines[:limit], "truncated": len(lines) > limit}

    async def glob(self, args: Args) -> Result:
        """Files that match, sorted."""
        limit = whole(args, "limit", 500, 1, 10_000)
        directory = self._places.readable(optional_text(args, "path") or ".")
        wanted = glob_expression(text(args, "pattern"))
        paths = [path for path in await self._files(directory) if wanted.fullmatch(path)]
        shown = [self._places.shown(os.path.join(directory, path)) for path in paths[:limit]]
        return {"paths": shown, "truncated": len(paths) > limit}

    async def _with_ripgrep(
        self, ripgrep: str, pattern: str, directory: str, file_glob: str | None, ignore_case: bool
    ) -> list[str]:
        command = [ripgrep, "--no-config", "--no-heading", "--with-filename", "--line-number"]
        command += ["--color=never", "--hidden", "--glob=!.git", "--sort=path", "--no-messages"]
        command += [f"--glob={file_glob}"] if file_glob else []
        command += ["--ignore-case"] if ignore_case else []
        shown = self._places.shown(directory)
        command += ["--regexp", pattern, "--", shown]
        code, output = await self._processes.output_of(
            command, self._places.workspace, {}, MOST_OUTPUT_BYTES, errors=True
        )
        said = output.decode("utf-8", "replace")
        if code == 2 and not _looks_like_matches(said):
            raise Refused(f"the pattern was not understood: {said.strip()[:500]}")
        lines = said.split("\n")[:-1]
        return [_cut(line[2:] if line.startswith("./") else line) for line in lines]

    async def _by_hand(
        self, pattern: str, directory: str, file_glob: str | None, ignore_case: bool, limit: int
    ) -> list[str]:
        try:
            wanted = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
        except re.error as error:
            raise Refused(f"the pattern was not understood: {error}") from error
        names = glob_expression(file_glob) if file_glob else None
        if os.path.isfile(directory):
            directory, paths = os.path.dirname(directory), [os.path.basename(directory)]
        else:
            paths = await self._files(directory)
        found: list[str] = []
        for path in paths:
            if names is not None and not names.fullmatch(path):
                continue
            real = os.path.join(directory, path)
            shown = self._places.shown(real)
            for number, line in _text_lines(real):
                if wanted.search(line):
                    found.append(_cut(f"{shown}:{number}:{line}"))
            if len(found) > limit:
                break
        return found

    async def _files(self, directory: str) -> list[str]:
        """Paths of files below `directory`, relative to it, ignored ones left out, sorted."""
        if not os.path.isdir(directory):
            raise Refused(f"{self._places.shown(directory)} is not a directory")
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
        try:
            code, output = await self._processes.output_of(
                command, directory, {}, MOST_LIST_BYTES, errors=False
            )
        except Failed:
            code, output = 1, b""
        if code != 0:
            return sorted(_walked(directory))
        listed = [os.fsdecode(name) for name in output.split(b"\0") if name]
        return sorted(path for path in listed if os.path.isfile(os.path.join(directory, path)))


def _ripgrep() -> str | None:
    # With this come the compression libraries, and a box that starts need not wait for them.
    import shutil

    return shutil.which("rg")


def glob_expression(pattern: str) -> re.Pattern[str]:
    """The expression of a glob; one without a slash matches in every directory."""
    if "/" not in pattern:
        pattern = "**/" + pattern
    expression, position = "", 0
    pattern = pattern[2:] if pattern.startswith("./") else pattern.lstrip("/")
    while position < len(pattern):
        part, length = _glob_part(pattern, position)
        expression += part
        position += length
    try:
        return re.compile(expression, re.DOTALL)
    except re.error as error:
        raise Refused(f"the pattern {pattern!r} was not understood") from error


def _glob_part(pattern: str, position: int) -> tuple[str, int]:
    if pattern.startswith("**/", position):
        return "(?:.*/)?", 3
    if pattern.startswith("**", position):
        return ".*", 2
    character = pattern[position]
    if character == "*":
        return "[^/]*", 1
    if character == "?":
        return "[^/]", 1
    if character == "{" and (end := pattern.find("}", position)) > 0:
        choices = pattern[position + 1 : end].split(",")
        return "(?:" + "|".join(glob_choice(choice) for choice in choices) + ")", end - position + 1
    if character == "[" and (end := pattern.find("]", position + 2)) > 0:
        inside = pattern[position + 1 : end].replace("\\", "\\\\")
        inside = "^" + inside[1:] if inside.startswith("!") else inside
        return f"[{inside}]", end - position + 1
    return re.escape(character), 1


def glob_choice(choice: str) -> str:
    """One of the alternatives between braces, which may have stars of its own."""
    expression, position = "", 0
    while position < len(choice):
        part, length = _glob_part(choice, position)
        expression += part
        position += length
    return expression


def _walked(directory: str) -> Iterator[str]:
    for parent, names, files in os.walk(directory):
        names[:] = [name for name in names if name not in NEVER_SEARCHED]
        for name in files:
            yield os.path.relpath(os.path.join(parent, name), directory)


def _text_lines(path: str) -> Iterator[tuple[int, str]]:
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_LIST_BYTES)
    except OSError:
        return
    if b"\0" in data[:8192]:
        return
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        yield number, line.rstrip("\r")


def _cut(line: str) -> str:
    return line.rstrip("\r") if len(line) <= MOST_LINE_CHARACTERS else line[:MOST_LINE_CHARACTERS] + " […]"


def _looks_like_matches(said: str) -> bool:
    return re.match(r"[^\n]+:\d+:", said) is not None
