"""Untrusted text stays text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion_web.markup import agent_html, terminal_html, visible
from tests.companion_web.payloads import XSS

TAG = re.compile(r"<\s*/?\s*([a-zA-Z][a-zA-Z0-9-]*)([^>]*)>")
ALLOWED = {
    *("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong"),
    *("s", "a", "hr", "br", "table", "thead", "tbody", "tr", "th", "td", "span"),
}
ATTRIBUTE = re.compile(r'([a-zA-Z-]+)\s*=\s*"([^"]*)"')


def assert_inert(html: str) -> None:
    for name, attributes in TAG.findall(html):
        assert name in ALLOWED
        for key, value in ATTRIBUTE.findall(attributes):
            assert key in {"href", "title", "start", "class", "rel"}
            if key == "href":
                assert value.startswith(("http:", "https:", "mailto:"))


@pytest.mark.parametrize("payload", XSS)
def test_hostile_markdown_renders_inert(payload: str) -> None:
    assert_inert(str(agent_html(payload)))


@pytest.mark.parametrize("payload", XSS)
def test_hostile_output_keeps_to_coloured_spans(payload: str) -> None:
    html = str(terminal_html(payload))
    assert {name for name, _ in TAG.findall(html)} <= {"span"}
    assert "\x1b" not in html


@given(st.text(alphabet="<>&\"'`[]()!*_#|\\\n\t ab:/=;\x1b0m1", max_size=80))
def test_any_markdown_renders_inert(text: str) -> None:
    assert_inert(str(agent_html(text)))


@given(st.text(alphabet="<>&;m[]0123\x1b\r\n ab", max_size=60))
def test_any_output_has_balanced_spans_only(text: str) -> None:
    html = str(terminal_html(text))
    assert {name for name, _ in TAG.findall(html)} <= {"span"}
    assert html.count("<span") == html.count("</span>")


def test_markdown_says_what_the_agent_means() -> None:
    html = str(agent_html("**bold** and [a link](https://example.com) in `code`\n\n- one\n"))
    assert "<strong>bold</strong>" in html
    assert 'href="https://example.com"' in html
    assert 'rel="noopener noreferrer nofollow"' in html
    assert "<li>one</li>" in html


def test_code_is_coloured() -> None:
    assert '<span class="tk">def</span>' in str(agent_html("```python\ndef f(): pass\n```"))


def test_unknown_languages_stay_plain() -> None:
    assert "whatever" in str(agent_html("```klingon\nwhatever\n```"))


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("\x1b[31mred\x1b[0m plain", '<span class="f1">red</span> plain'),
        ("\x1b[1;92mok\x1b[m", '<span class="a1 f2">ok</span>'),
        ("\x1b[38;5;200mx\x1b[39my", "xy"),
        ("\x1b[38;2;1;2;3mx", "x"),
        ("10%\r50%\r100%\r\ndone", "100%\ndone"),
        ("\x1b[2J\x1b[Hclear", "clear"),
        ("\x1b]0;title\x07text", "text"),
        ("bell\x07", "bell"),
    ],
)
def test_terminal_output_as_a_terminal_would_show_it(printed: str, shown: str) -> None:
    assert str(terminal_html(printed)) == shown


def test_characters_that_reorder_text_are_spelled_out() -> None:
    assert str(visible("a\u202eb")) == 'a<span class="hid">U+202E</span>b'
