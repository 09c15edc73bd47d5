"""What the picture of a thread shows is what the messages say."""

from __future__ import annotations

import pytest

from tests.emulators.slack.emulator import SlackEmulator
from tests.pictures.slack_page import thread_page
from tests.pictures.slack_words import formatted, picture_of, unformatted

NAMES = {"U1": "Ada", "C1": "billing"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*bold* and _slanted_, 2*3*4, a_b_c", "<b>bold</b> and <i>slanted</i>, 2*3*4, a_b_c"),
        ("`*code*` :eyes:", "<code>*code*</code> 👀"),
        ("```\na\n\n:eyes:\n```", "<pre>a\n\n:eyes:</pre>"),
        ("<@U1> in <#C1>", '<span class="mention">@Ada</span> in <span class="mention">#billing</span>'),
        ("<https://a.example/?b&amp;c|there>", '<span class="link">there</span>'),
        ("&gt; one\n&gt; two\nthree", "<blockquote>one\ntwo</blockquote>three"),
        ("one\n\ntwo", 'one<span class="gap"></span>two'),
        ("&lt;b&gt; &amp; :unknown_name:", "&lt;b&gt; &amp; :unknown_name:"),
        ("`&lt;b&gt;`", "<code>&lt;b&gt;</code>"),
    ],
)
def test_markup(text: str, shown: str) -> None:
    assert formatted(text, NAMES.__getitem__) == shown


def test_plain_texts_know_emoji_alone() -> None:
    assert unformatted(":x: <b> *no*") == "❌ &lt;b&gt; *no*"
    assert picture_of("+1::skin-tone-3") == "👍"


async def test_a_message_that_cannot_be_shown_whole_is_not_shown() -> None:
    async with SlackEmulator(allow_unread=True) as slack:
        message = await slack.person("Ada").say(slack.channel("billing"), "see <here>", mention_bot=False)
        assert "see" in thread_page([message], "<svg></svg>")
        message.blocks.append({"type": "video"})
        with pytest.raises(ValueError, match="video"):
            thread_page([message], "<svg></svg>")
