"""What was done under which call id, on disk, so that a repeated call is answered and not run again."""

from __future__ import annotations

import hashlib
import json
import os

from .arguments import Args, Result
from .refusal import Refused

KEPT_ENTRIES = 5000


class Entry:
    """One call as written down. `result` is None while it runs, and for ever when the runner died with it."""

    def __init__(self, operation: str, digest: str, result: Result | None) -> None:
        self.operation = operation
        self.digest = digest
        self.result = result


class Journal:
    """The journal in `directory`: a file for each call, with a line for its begin and a line for its end."""

    def __init__(self, directory: str) -> None:
        os.makedirs(directory, exist_ok=True)
        self._directory = directory
        self._names = self._oldest_first()

    def find(self, call_id: str, operation: str, args: Args) -> Entry | None:
        """The entry of that id, None when it is new. Raises: Refused when the id was of another call."""
        try:
            with open(self._path(call_id), encoding="ascii") as file:
                lines = file.read().split("\n")
            begun: dict[str, object] = json.loads(lines[0])
            # An end that was cut short does not count; the journals of earlier runners have all in one line.
            result = json.loads(lines[1]) if len(lines) > 2 else begun.get("result")
        except FileNotFoundError:
            return None
        except ValueError:
            # Cut short by the death of the machine: it was begun, and how it ended is not known.
            return Entry(operation, digest_of(operation, args), None)
        entry = Entry(
            str(begun.get("operation")),
            str(begun.get("digest")),
            result if isinstance(result, dict) else None,
        )
        if entry.operation != operation or entry.digest != digest_of(operation, args):
            raise Refused(f"call id {call_id} was used before, for another call")
        return entry

    def begin(self, call_id: str, operation: str, args: Args) -> None:
        """Written before anything is done."""
        try:
            self._write(call_id, os.O_CREAT, {"operation": operation, "digest": digest_of(operation, args)})
        except OSError:
            # The disk is full: what is not written in full must not look like a call that was begun.
            self.forget(call_id)
            raise
        self._names.append(os.path.basename(self._path(call_id)))
        while len(self._names) > KEPT_ENTRIES:
            try:
                os.unlink(os.path.join(self._directory, self._names.pop(0)))
            except FileNotFoundError:
                pass

    def finish(self, call_id: str, result: Result) -> None:
        """Written when it is done: from now on the same id gets `result`."""
        try:
            self._write(call_id, os.O_APPEND, result)
        except FileNotFoundError:
            # So many calls have begun since that this one is forgotten.
            pass

    def forget(self, call_id: str) -> None:
        """The call was refused before it changed anything: the id is free again."""
        try:
            os.unlink(self._path(call_id))
        except FileNotFoundError:
            pass

    def _path(self, call_id: str) -> str:
        return os.path.join(self._directory, hashlib.sha256(call_id.encode()).hexdigest()[:40] + ".json")

    def _write(self, call_id: str, how: int, content: Result) -> None:
        descriptor = os.open(self._path(call_id), os.O_WRONLY | os.O_CLOEXEC | how, 0o644)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(json.dumps(content) + "\n")

    def _oldest_first(self) -> list[str]:
        entries = [entry for entry in os.scandir(self._directory) if entry.name.endswith(".json")]
        return [entry.name for entry in sorted(entries, key=lambda entry: entry.stat().st_mtime)]


def digest_of(operation: str, args: Args) -> str:
    """Equal for equal calls; `stream` says who listens and not what is done."""
    said = {key: value for key, value in args.items() if key != "stream"}
    return hashlib.sha256((operation + json.dumps(said, sort_keys=True)).encode()).hexdigest()
