"""A diff is shown line by line with its numbers and colours."""

from __future__ import annotations

import pytest

from companion_web.diff import MAX_LINES_OF_A_FILE, FilePatch, UnreadableDiff, read_patches, show
from tests.companion_web.story import PATCHES


def test_lines_have_their_numbers_and_signs() -> None:
    lines = show(read_patches(PATCHES.encode())[0]).lines
    assert [(line.kind, line.old, line.new) for line in lines] == [
        ("hunk", None, None),
        ("same", 10, 10),
        ("same", 11, 11),
        ("same", 12, 12),
        ("removed", 13, None),
        ("removed", 14, None),
        ("added", None, 13),
        ("added", None, 14),
        ("added", None, 15),
        ("added", None, 16),
        ("same", 15, 17),
        ("same", 16, 18),
        ("same", 17, 19),
    ]


def test_code_is_coloured_by_the_files_name() -> None:
    lines = show(read_patches(PATCHES.encode())[0]).lines
    assert '<span class="tk">def</span>' in str(lines[2].html)
    assert '<span class="tc"># raises UnknownLocaleError</span>' in str(lines[6].html)


def test_each_line_keeps_its_own_text() -> None:
    """Lexers that drop or add lines would shift the colours; the text must not move with them."""
    patch = "@@ -1,4 +1,4 @@\n \n \n-old = 1\n+new = '''a\n+b'''\n \n"
    lines = show(FilePatch(path="x.py", patch=patch)).lines
    plain = [line.html.striptags() for line in lines]
    assert plain == ["@@ -1,4 +1,4 @@", "", "", "old = 1", "new = '''a", "b'''", ""]


def test_markup_in_code_is_text() -> None:
    lines = show(FilePatch(path="x.unknown", patch="@@ -0,0 +1 @@\n+<script>alert(1)</script>\n")).lines
    assert str(lines[1].html) == "&lt;script&gt;alert(1)&lt;/script&gt;"


def test_a_file_without_a_patch_has_no_lines() -> None:
    assert show(read_patches(PATCHES.encode())[2]).lines == ()


def test_a_missing_last_newline_is_said() -> None:
    lines = show(FilePatch(path="a", patch="@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n")).lines
    assert [line.kind for line in lines] == ["hunk", "removed", "meta", "added"]


def test_very_long_files_are_cut_and_it_is_said() -> None:
    patch = "@@ -0,0 +1,3000 @@\n" + "+x\n" * 3000
    shown = show(FilePatch(path="long.txt", insertions=3000, patch=patch))
    assert len(shown.lines) == MAX_LINES_OF_A_FILE
    assert shown.cut == 3001 - MAX_LINES_OF_A_FILE
    assert shown.folded


def test_what_is_no_diff_is_said_to_be_none() -> None:
    with pytest.raises(UnreadableDiff):
        read_patches(b"not json")
