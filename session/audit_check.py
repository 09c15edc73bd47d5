"""The check of the audit: row against row, and all of them against the anchors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from session.anchors import Anchor, AnchorFile
from session.audit import GENESIS, Audit, UnreadableRow, chained, read_row
from session.database import Row

_PAGE = 500


@dataclass(frozen=True, slots=True)
class BadRow:
    """The first row that is not as it was written, and how that shows, in a sentence."""

    id: int
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found. `rows` were read; the anchors agree with the audit up to `anchored_until`, None
    when there is none. `bad_anchors` are sentences, each naming a line of the file."""

    rows: int
    bad: BadRow | None
    bad_anchors: tuple[str, ...]
    anchored_until: datetime | None

    @property
    def ok(self) -> bool:
        """Whether nothing was changed."""
        return self.bad is None and not self.bad_anchors


async def verify(audit: Audit, file: Path, trusted: Sequence[bytes] = ()) -> Verdict:
    """What a walk over all rows, in their order, found; the file may be missing.

    trusted: secret keys whose anchors count; none means that the keys named in the file are believed, which
    whoever can write that file can make up.
    Raises: DatabaseDown, OSError.
    """
    anchors = AnchorFile(file, trusted)
    walk = _Walk(anchors.read())
    bad: BadRow | None = None
    while bad is None:
        rows = await audit.after(walk.last, _PAGE)
        bad = next((fault for row in rows if (fault := walk.step(row)) is not None), None)
        if not rows:
            bad = walk.end()
            break
    anchors.read_out()
    return Verdict(walk.last, bad, tuple(anchors.faults), walk.until)


class _Walk:
    """Goes over the rows, the anchors beside them."""

    def __init__(self, anchors: Iterator[Anchor]) -> None:
        self._anchors = anchors
        self._anchor = next(anchors, None)
        self._hash = GENESIS
        self._sure = 0
        self.last = 0
        self.until: datetime | None = None

    def step(self, row: Row) -> BadRow | None:
        """What is wrong with the next row."""
        number, hash_ = int(row["id"]), str(row["hash"])
        fault = self._fault(row)
        if fault is not None:
            return fault
        while self._anchor is not None and self._anchor.id <= number:
            if (self._anchor.id, self._anchor.hash) != (number, hash_):
                return BadRow(number, self._replaced(number, self._anchor.at))
            self._sure, self.until = number, self._anchor.at
            self._anchor = next(self._anchors, None)
        self.last, self._hash = number, hash_
        return None

    def end(self) -> BadRow | None:
        """What is wrong when there are no more rows."""
        if self._anchor is None:
            return None
        first = self.last + 1
        gone = f"row {first} is" if self._anchor.id == first else f"rows {first} to {self._anchor.id} are"
        return BadRow(first, f"{gone} gone from the end: anchored at {_said(self._anchor.at)}")

    def _fault(self, row: Row) -> BadRow | None:
        number, due = int(row["id"]), self.last + 1
        if number != due:
            gone = f"row {due} is" if number == due + 1 else f"rows {due} to {number - 1} are"
            return BadRow(due, f"{gone} missing")
        try:
            read = read_row(row)
        except UnreadableRow as error:
            return BadRow(number, str(error))
        if chained(number, read.at, read.entry, read.previous) != read.hash:
            return BadRow(
                number,
                f"row {number} was edited or put in another's place: its hash is not that of what it says",
            )
        if read.previous == self._hash:
            return None
        if self.last == self._sure:  # the row before is anchored, or there is none
            return BadRow(number, f"row {number} was replaced: it is not chained to the row before it")
        return BadRow(
            self.last, f"row {self.last} was edited and its hash made anew: row {number} holds another for it"
        )

    def _replaced(self, number: int, anchored_at: datetime) -> str:
        since = f"after row {self._sure}" if self._sure else "from the first on"
        return (
            f"row {number} is not the one that was anchored at {_said(anchored_at)}: it was replaced, and "
            f"perhaps others {since} with it"
        )


def _said(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
