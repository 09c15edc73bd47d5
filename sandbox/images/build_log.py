"""What a build says: its beginning and its end are kept, however much comes between."""

from __future__ import annotations

from collections.abc import Callable

HEAD_CHARACTERS = 64_000
TAIL_CHARACTERS = 128_000
"""Errors come last, so more of the end is kept."""


class BuildLog:
    """Text that grows. `listen` is told each piece as it comes."""

    def __init__(self, listen: Callable[[str], None] | None = None) -> None:
        self._listen = listen
        self._head = ""
        self._tail = ""
        self._left_out = 0

    def add(self, text: str) -> None:
        """The text comes after what was said before."""
        if self._listen is not None:
            self._listen(text)
        room = HEAD_CHARACTERS - len(self._head)
        self._head += text[: max(room, 0)]
        self._tail += text[max(room, 0) :]
        # Cut now and then rather than at each piece, which would copy the tail each time.
        if len(self._tail) > 2 * TAIL_CHARACTERS:
            self._cut()

    def line(self, text: str) -> None:
        """A line of Bellhop's own."""
        self.add(f"{text}\n")

    @property
    def text(self) -> str:
        """What is kept, with a line about what is not."""
        if len(self._tail) > TAIL_CHARACTERS:
            self._cut()
        gap = f"\n[… {self._left_out} characters left out …]\n" if self._left_out else ""
        return f"{self._head}{gap}{self._tail}"

    def _cut(self) -> None:
        over = len(self._tail) - TAIL_CHARACTERS
        self._left_out += over
        self._tail = self._tail[over:]
