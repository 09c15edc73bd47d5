"""No content makes a message that Slack refuses, or one that rings anybody."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.card import status_card
from bot.messages import Button, PlanLine, Post, StatusCard
from bot.platforms.slack.blocks import (
    MESSAGE_CHARACTERS,
    button_value,
    read_button_value,
    render,
    split_post,
)
from bot.platforms.slack.mrkdwn import escape, mrkdwn
from tests.bot.hostile import BLOCKS, MARKS, buttons, cards, long_texts, menus, posts, short_texts
from tests.bot.views import STATES, view_of
from tests.emulators.slack.limits import check_blocks

PINGS = ("<!channel>", "<!here|here>", "@everyone", "@here", "<@U123>", "<#C1>")
LINKS = ("[a](http://x.y/?a=1&b=<2>)", "[x](javascript:alert(1))", "![i](http://x.y/i.png)")
NASTY = st.sampled_from((*MARKS, *PINGS, *LINKS, *BLOCKS))
TEXT, LONG = short_texts(NASTY), long_texts(NASTY)

PING = re.compile(r"<[!@#]|(?<![\w\u2060])@(?:here|channel|everyone)\b", re.IGNORECASE)

BUTTONS = buttons(TEXT, LONG, "stop", "approve", "answer", "open_page")
MENU = menus(TEXT, most_choices=110)
POSTS = posts(TEXT, LONG, BUTTONS, MENU, session_id="s1")
CARDS = cards(TEXT, LONG, BUTTONS, session_id="s1")


def acceptable(content: StatusCard | Post) -> None:
    rendered = render(content)
    check_blocks(list(rendered.blocks))
    assert rendered.text.strip()
    assert len(rendered.text) <= 3_000
    assert not PING.search(rendered.text)
    for block in rendered.blocks:
        for text in mrkdwn_texts(block):
            assert not PING.search(text), text


def mrkdwn_texts(value: object) -> list[str]:
    """Every text that Slack would read marks in; plain text shows pings as letters."""
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            return [str(value["text"])]
        return [text for part in value.values() for text in mrkdwn_texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in mrkdwn_texts(part)]
    return []


@settings(max_examples=40, deadline=None)
@given(POSTS)
@example(Post("answer", "s1", "&" * 40_000))
@example(Post("answer", "s1", "```\n" + "x" * 20_000))
@example(
    Post("answer", "s1", "a" * 40_000, footer=("&" * 2_000,) * 8, buttons=(Button("stop", "&" * 200),) * 12)
)
def test_no_post_is_refused_or_rings_anybody(post: Post) -> None:
    for part in split_post(post):
        acceptable(part)


@settings(max_examples=40, deadline=None)
@given(CARDS)
@example(
    StatusCard(
        "s1",
        1,
        "&" * 300,
        "&" * 300,
        "working",
        facts=(("&" * 50, "&" * 500),) * 10,
        plan=(PlanLine("&" * 500, "pending"),) * 40,
        action="&" * 500,
        notes=("&" * 500,) * 8,
        buttons=tuple(Button("stop", "&" * 100, value="&" * 1_000) for _ in range(20)),
    )
)
def test_no_card_is_refused_or_rings_anybody(card: StatusCard) -> None:
    acceptable(card)


def test_every_state_of_a_session_is_acceptable() -> None:
    for events in STATES.values():
        acceptable(status_card(view_of(*events), public_url="https://bellhop.example.com"))


@settings(max_examples=40, deadline=None)
@given(LONG)
def test_nothing_that_slack_would_obey_comes_out_of_text(text: str) -> None:
    assert not PING.search(mrkdwn(text))
    assert not re.search(r"[<>]", escape(text))
    assert not re.search(r"<(?!https?://|mailto:)", mrkdwn(text).replace("<>", ""))


@given(st.text(), st.text(), st.text())
def test_a_button_carries_back_what_it_was_given(session_id: str, ref: str, value: str) -> None:
    assert read_button_value(button_value(session_id, ref, value)) == (session_id, ref, value)


def test_markdown_becomes_slacks_own() -> None:
    markdown = """\
# Rounding

Rounded **half up**, not *even*, in `billing`; see [the pull request](https://example.com/7?a=1&b=2).

- first
- second
  - nested

1. one
2. two

> quoted <!channel>

| file | lines |
|---|---|
| a.py | 10 |

```python
if a < b & c: pass
```
"""
    assert (
        mrkdwn(markdown)
        == """\
*Rounding*

Rounded *half up*, not _even_, in `billing`; see <https://example.com/7?a=1&amp;b=2|the pull request>.

• first
• second
    • nested

1. one
2. two

> quoted &lt;!channel&gt;

```
file  lines
a.py  10
```

```
if a &lt; b &amp; c: pass
```"""
    )


def test_a_label_that_reads_like_another_address_is_followed_by_where_it_leads() -> None:
    assert (
        mrkdwn("[github.com](https://evil.example/a)") == "<https://evil.example/a|github.com> (evil.example)"
    )
    assert mrkdwn("[https://github.com/a](https://github.com@evil.example)").endswith(" (evil.example)")
    assert mrkdwn("![github.com](https://evil.example/a.png)").endswith(" (evil.example)")
    assert mrkdwn("[github.com](https://github.com/a)") == "<https://github.com/a|github.com>"
    assert mrkdwn("[the notes](https://github.com/a)") == "<https://github.com/a|the notes>"


def test_the_conclusion_of_a_long_answer_is_in_its_last_message() -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "word " * 60 for n in range(100)) + "\n\nSo: **merge it**."
    parts = split_post(Post("answer", "s1", text, footer=("2 files",)))
    assert len(parts) > 2
    assert all(len(mrkdwn(part.text)) <= MESSAGE_CHARACTERS for part in parts)
    shown = str(render(parts[-1]).blocks)
    assert "So: *merge it*." in shown
    assert "2 files" in shown
