"""Takes a secret out of what comes back: as it is, and in the forms that it commonly takes."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from urllib.parse import quote, quote_plus

MIN_FORM_BYTES = 6
"""Encoded forms shorter than this would hit ordinary text; the secret itself is always taken out."""


class Redaction:
    """Replaces every form of the secrets by as many asterisks, in a stream of bytes of any pieces."""

    def __init__(self, secrets: Sequence[str]) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        self._forms = sorted(forms, key=len, reverse=True)
        self._held = b""

    def whole(self, data: bytes) -> bytes:
        """The data without the secrets, of the same length."""
        for form in self._forms:
            data = data.replace(form, b"*" * len(form))
        return data

    def feed(self, data: bytes) -> bytes:
        """What can be let go of the stream so far: all but an end that may be the beginning of a secret."""
        clean = self.whole(self._held + data)
        keep = max((_begun(clean, form) for form in self._forms), default=0)
        self._held = clean[len(clean) - keep :]
        return clean[: len(clean) - keep]

    def rest(self) -> bytes:
        """What is left when the stream has ended."""
        held, self._held = self._held, b""
        return held


def _begun(data: bytes, form: bytes) -> int:
    """How many bytes at the end of the data are the beginning of the form."""
    longest = min(len(data), len(form) - 1)
    start = len(data) - longest
    while (start := data.find(form[:1], start)) >= 0:
        if form.startswith(data[start:]):
            return len(data) - start
        start += 1
    return 0


def _forms(secret: str) -> set[bytes]:
    raw = secret.encode()
    encoded = {
        *_base64(raw),
        raw.hex().encode(),
        raw.hex().upper().encode(),
        quote(secret, safe="").encode(),
        quote(secret).encode(),
        quote_plus(secret).encode(),
        _lower_escapes(quote(secret, safe="")).encode(),
        json.dumps(secret)[1:-1].encode(),
        secret.replace("/", "\\/").encode(),
    }
    return {raw} | {form for form in encoded if len(form) >= MIN_FORM_BYTES}


def _base64(raw: bytes) -> set[bytes]:
    """What of the secret stands in base64, whole characters, wherever it begins in what was encoded."""
    found: set[bytes] = set()
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + raw).rstrip(b"=")
        first = -(-offset * 8 // 6)
        last = (offset + len(raw)) * 8 // 6
        found |= {text[first:last], text[first:last].translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def _lower_escapes(text: str) -> str:
    parts = text.split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])
