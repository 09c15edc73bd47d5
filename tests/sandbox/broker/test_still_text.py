"""What is written on other people's pages loads nothing when it is looked at."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from sandbox.broker.still_text import still

LOADING = [
    "![a](https://evil.example.com/?d=1)",
    "!![a](https://evil.example.com/?d=1)",
    "![a][b]\n\n[b]: https://evil.example.com/?d=1",
    "![![a](https://evil.example.com/1)](https://evil.example.com/2)",
    "[![a](https://evil.example.com/1)](https://good.example.com)",
    "<img src='https://evil.example.com'>",
    "<IMG/src=https://evil.example.com>",
    "text <picture><source srcset='https://evil.example.com'></picture>",
    "<video poster=https://evil.example.com></video>",
    "<svg><image href='https://evil.example.com'/></svg>",
]


@pytest.mark.parametrize("text", LOADING)
def test_nothing_is_loaded(text: str) -> None:
    shown = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(still(text))
    for tag in ("<img", "<picture", "<source", "<video", "<svg", "<image"):
        assert tag not in shown.lower()


@pytest.mark.parametrize("text", ["Well! [See](https://a.example.com) `a[0]`", "a < b, <b>bold</b>", "Stop!"])
def test_what_loads_nothing_stays_as_it_is(text: str) -> None:
    assert still(text) == text
