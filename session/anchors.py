"""Anchors: the audit's head, signed and kept outside the database, so that even its owner cannot rewrite it
unseen."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from session.audit import Audit
from session.database import DatabaseDown
from session.file_lock import file_lock

_log = structlog.get_logger(__name__)

_PURPOSE = b"bellhop audit anchors, 1"
_TAIL_BYTES = 16_384
"""Room for the last lines, each of which has some 300 bytes."""

_KEY_LETTERS = 12


@dataclass(frozen=True, slots=True)
class Anchor:
    """What the head of the audit was at that time (UTC). `previous` is the signature of the anchor before,
    empty in the first; `key` the first letters of the public key that it is signed with."""

    id: int
    hash: str
    at: datetime
    previous: str
    key: str
    signature: str = ""

    @property
    def signed(self) -> bytes:
        """What the signature stands under."""
        body = [self.id, self.hash, self.at.isoformat(), self.previous, self.key]
        return _PURPOSE + json.dumps(body).encode()

    def line(self) -> Mapping[str, str | int]:
        """The anchor as a line of the file says it."""
        return {**asdict(self), "at": self.at.isoformat()}


def signing_key(secret: bytes) -> Ed25519PrivateKey:
    """The key that anchors are signed with, made from the broker's secret key."""
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret)
    return Ed25519PrivateKey.from_private_bytes(seed)


class Anchors:
    """Keeps the anchors' file: JSON lines, only ever added to. `secret` is the broker's secret key."""

    def __init__(self, audit: Audit, file: Path, secret: bytes) -> None:
        self._audit = audit
        self._file = file
        self._key = signing_key(secret)

    async def run(self, every_seconds: float = 60.0) -> None:
        """Anchor for ever; an outage is waited out, and said."""
        while True:
            try:
                await self.anchor()
            except (DatabaseDown, OSError) as error:
                _log.warning("audit_not_anchored", file=str(self._file), error=str(error))
            await asyncio.sleep(every_seconds)

    async def anchor(self) -> Anchor | None:
        """The anchor of the head as it is now; None when the last one says so already, or nothing is there.

        Raises: DatabaseDown, OSError.
        """
        self._file.parent.mkdir(parents=True, exist_ok=True)
        async with file_lock(self._file.with_name(f"{self._file.name}.lock")):
            head = await self._audit.head()
            return None if head is None else await asyncio.to_thread(self._keep, head.id, head.hash)

    def _keep(self, number: int, hash_: str) -> Anchor | None:
        last = _last(self._file)
        if last is not None and (last.id, last.hash) == (number, hash_):
            return None
        if last is not None and last.id >= number:
            _log.error("audit_was_cut", anchored=last.id, head=number, means="run `bellhop audit verify`")
        key = _text(self._key.public_key().public_bytes_raw())
        previous = last.signature if last else ""
        anchor = Anchor(number, hash_, datetime.now(UTC), previous, key[:_KEY_LETTERS])
        anchor = replace(anchor, signature=_text(self._key.sign(anchor.signed)))
        known = last is not None and last.key == anchor.key
        _add(self._file, *([] if known else [{"key": key}]), anchor.line())
        return anchor


class AnchorFile:
    """Reads the file, no further than it is when reading begins. `faults` grow while it is read.

    trusted: secret keys whose anchors count; none means that the keys named in the file are believed.
    """

    def __init__(self, path: Path, trusted: Iterable[bytes] = ()) -> None:
        self._path = path
        keys = [signing_key(secret).public_key() for secret in trusted]
        self._keys = {_text(key.public_bytes_raw())[:_KEY_LETTERS]: key for key in keys}
        self._closed = bool(keys)
        self._reading: Iterator[Anchor] = iter(())
        self.faults: list[str] = []

    def read(self) -> Iterator[Anchor]:
        """The anchors whose signatures are good, in order."""
        self._reading = self._read()
        return self._reading

    def read_out(self) -> None:
        """Look at what is left for faults of its own."""
        for _ in self._reading:
            pass

    def _read(self) -> Iterator[Anchor]:
        previous = ""
        for number, said in enumerate(_lines(self._path), 1):
            if isinstance(said, str):
                if not self._closed:
                    self._keys[said[:_KEY_LETTERS]] = _public(said)
                continue
            if said is None:
                continue  # half written; what it stood for would be missed in the next one
            if not self._signed(said):
                self.faults.append(f"line {number} was edited, or signed with a key that is not the broker's")
                continue
            if said.previous != previous:
                self.faults.append(f"an anchor before line {number} is missing")
            previous = said.signature
            yield said

    def _signed(self, anchor: Anchor) -> bool:
        key = self._keys.get(anchor.key)
        if key is None:
            return False
        try:
            key.verify(base64.b64decode(anchor.signature, validate=True), anchor.signed)
        except (InvalidSignature, binascii.Error):
            return False
        return True


def _lines(path: Path) -> Iterator[Anchor | str | None]:
    """An anchor, a public key, or None for what is neither, line by line; no further than the file is now."""
    try:
        left = path.stat().st_size
    except FileNotFoundError:
        return
    with path.open("rb") as file:
        for line in file:
            left -= len(line)
            if left < 0:
                return
            yield _parsed(line)


def _last(path: Path) -> Anchor | None:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return None
    found = (_parsed(line) for line in reversed(lines))
    return next((line for line in found if isinstance(line, Anchor)), None)


def _parsed(line: bytes) -> Anchor | str | None:
    try:
        said = json.loads(line)
        if said.keys() == {"key"}:
            _public(said["key"])
            return str(said["key"])
        return Anchor(**{**said, "at": datetime.fromisoformat(said["at"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _add(path: Path, *lines: Mapping[str, str | int]) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
    with os.fdopen(descriptor, "ab", buffering=0) as file:
        size = os.fstat(descriptor).st_size
        # A line that a power cut left half written stays by itself, and is passed over.
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        file.write(b"\n" * torn + b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        os.fsync(descriptor)


def _public(text: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
