"""Reading, writing and editing files of the workspace."""

from __future__ import annotations

import base64
import binascii
import difflib
import os
import stat

from .arguments import Args, Result, flag, text, whole
from .edit import replaced
from .places import Places
from .refusal import Refused

MOST_TEXT_BYTES = 50 * 1024 * 1024
INLINE_BYTES = 50 * 1024
MOST_BYTES_AT_ONCE = 8 * 1024 * 1024
DIFF_LINES = 200


class Files:
    """File operations inside `places`. Every method raises Refused for a path or content that does not do."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def read_file(self, args: Args) -> Result:
        """Lines of a text file."""
        path = text(args, "path")
        real = self._regular(path)
        first, limit = whole(args, "offset", 1, 1), whole(args, "limit", 2000, 1, 100_000)
        lines = self._decoded(path, real).splitlines(keepends=True)
        wanted: list[str] = []
        size = 0
        for line in lines[first - 1 : first - 1 + limit]:
            size += len(line.encode("utf-8", "surrogateescape"))
            if size > INLINE_BYTES and wanted:
                break
            wanted.append(line if size <= INLINE_BYTES else line[:INLINE_BYTES])
        last = first - 1 + len(wanted)
        return {
            "path": self._places.shown(real),
            "text": "".join(wanted),
            "first_line": first,
            "last_line": last,
            "total_lines": len(lines),
            "truncated": last < len(lines),
        }

    def read_bytes(self, args: Args) -> Result:
        """A part of any file, in base 64."""
        real = self._regular(text(args, "path"))
        offset = whole(args, "offset", 0)
        limit = whole(args, "limit", MOST_BYTES_AT_ONCE, 1, MOST_BYTES_AT_ONCE)
        with open(real, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(offset)
            data = base64.b64encode(file.read(limit)).decode()
        return {"data": data, "offset": offset, "total_bytes": size}

    def write_file(self, args: Args) -> Result:
        """The file with new content, its mode kept."""
        path = text(args, "path")
        try:
            data = base64.b64decode(text(args, "data"), validate=True)
        except binascii.Error as error:
            raise Refused("data is not base 64") from error
        real = self._places.writable(path)
        if os.path.isdir(real):
            raise Refused(f"{path} is a directory")
        created = not os.path.exists(real)
        _write(path, real, data)
        return {"path": self._places.shown(real), "bytes_written": len(data), "created": created}

    def edit_file(self, args: Args) -> Result:
        """The file with one text replaced by another."""
        path = text(args, "path")
        real = self._places.writable(path)
        if not os.path.isfile(real):
            raise Refused(f"{path} does not exist or is not a file")
        before = self._decoded(path, real)
        edit = replaced(before, text(args, "old"), text(args, "new"), flag(args, "replace_all"))
        _write(path, real, edit.text.encode("utf-8", "surrogateescape"))
        shown = self._places.shown(real)
        diff = list(
            difflib.unified_diff(before.splitlines(), edit.text.splitlines(), shown, shown, lineterm="", n=2)
        )
        return {
            "path": shown,
            "replacements": edit.replacements,
            "matched_by": edit.matched_by,
            "diff": "\n".join(diff[:DIFF_LINES]),
        }

    def _regular(self, path: str) -> str:
        real = self._places.readable(path)
        if os.path.isdir(real):
            raise Refused(f"{path} is a directory: use glob to list it")
        if not stat.S_ISREG(os.stat(real).st_mode):
            raise Refused(f"{path} is not a regular file")
        return real

    def _decoded(self, path: str, real: str) -> str:
        size = os.path.getsize(real)
        if size > MOST_TEXT_BYTES:
            raise Refused(f"{path} has {size} bytes: read a part of it with a command")
        try:
            with open(real, "rb") as file:
                data = file.read()
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}") from error
        if b"\0" in data[:8192]:
            raise Refused(f"{path} is not a text file ({size} bytes)")
        # Bytes that are not UTF-8 go through an edit unchanged.
        return data.decode("utf-8", "surrogateescape")


def _write(path: str, real: str, data: bytes) -> None:
    # A new file under another name, then renamed: a full disk or a kill leaves the old content whole.
    beside = f"{real}.{os.urandom(4).hex()}.new"
    try:
        os.makedirs(os.path.dirname(real), exist_ok=True)
        with open(beside, "wb") as file:
            file.write(data)
        if os.path.exists(real):
            os.chmod(beside, stat.S_IMODE(os.stat(real).st_mode))
        os.replace(beside, real)
    except OSError as error:
        if os.path.exists(beside):
            os.unlink(beside)
        raise Refused(f"{path} cannot be written: {error.strerror}") from error
