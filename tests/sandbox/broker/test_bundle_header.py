"""What the beginning of a bundle says, and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.broker.bundle_header import MAX_LINE_BYTES, MAX_LINES, SIGNATURE, BadBundle, read_header

SHA = "0123456789abcdef0123456789abcdef01234567"
REF = f"{SHA} refs/bellhop/work\n".encode()
BUILDS_ON = f"-{SHA} ".encode()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# What it builds on ends with a commit's first paragraph, which may fill any number of blocks.
@pytest.mark.parametrize("words", [b"", b"Fix it", b"x" * (4096 - 43), b"x" * 4096, b"\xff\x00 -\r"])
def test_refs_and_pack_are_found_whatever_it_builds_on(tmp_path: Path, words: bytes) -> None:
    head = SIGNATURE + BUILDS_ON + words + b"\n" + REF + b"\n"
    header = read_header(written(tmp_path / "b", head + b"PACK\n\n"))
    assert header.references == {"refs/bellhop/work": SHA}
    assert header.pack_offset == len(head)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PACK",
        SIGNATURE,
        SIGNATURE + REF,
        SIGNATURE + REF[:-1],
        SIGNATURE + b"-" + REF[1:] + b"\n",
        SIGNATURE.replace(b"2", b"3") + b"@object-format=sha256\n" + REF + b"\n",
        SIGNATURE.replace(b"2", b"3") + b"@filter=blob:none\n" + REF + b"\n",
        SIGNATURE + b"@filter=blob:none\n" + REF + b"\n",
        SIGNATURE + BUILDS_ON + b"x" * MAX_LINE_BYTES + b"\n" + REF + b"\n",
        SIGNATURE + REF * (MAX_LINES + 1) + b"\n",
    ],
)
def test_what_is_no_such_bundle_is_said(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadBundle):
        read_header(written(tmp_path / "b", content))
