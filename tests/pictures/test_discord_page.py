"""What the picture of a thread on Discord shows is what the messages say."""

from __future__ import annotations

import pytest

from tests.emulators.discord.emulator import DiscordEmulator
from tests.pictures.discord_page import thread_page
from tests.pictures.discord_words import formatted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**bold** and *slanted*, 2\\*3\\*4, a_b_c", "<p><b>bold</b> and <i>slanted</i>, 2*3*4, a_b_c</p>"),
        ("### A **head**\n-# small", '<h2 class="line">A <b>head</b></h2><p class="small">small</p>'),
        ("`**code**` \\`no code\\`", "<p><code>**code**</code> `no code`</p>"),
        ("```py\na\n\nb\n```", "<p><pre>a\n\nb</pre></p>"),
        (
            "<@17> see [there](https://a.example/)",
            '<p><span class="mention">@Ada</span> see <span class="link">there</span></p>',
        ),
        ("> said\n- one", '<blockquote>said</blockquote><p class="entry">one</p>'),
        ("one\n\ntwo", '<p>one</p><p class="gap"></p><p>two</p>'),
        ("<b> & `<i>`", "<p>&lt;b&gt; &amp; <code>&lt;i&gt;</code></p>"),
    ],
)
def test_markup(text: str, shown: str) -> None:
    assert formatted(text, {17: "Ada"}.__getitem__) == shown


async def test_a_message_that_cannot_be_shown_whole_is_not_shown() -> None:
    async with DiscordEmulator(allow_unread=True) as discord:
        channel = discord.channel("billing")
        message = discord.person("Ada").say(channel, "see <here>", mention_bot=False)
        assert "see &lt;here&gt;" in thread_page([message], "a title", str, "<svg></svg>")
        message.components.append({"type": 12})
        with pytest.raises(ValueError, match="12"):
            thread_page([message], "a title", str, "<svg></svg>")
