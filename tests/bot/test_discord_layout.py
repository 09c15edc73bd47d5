"""No content makes a message that Discord refuses, or one that rings anybody; each state looks as agreed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.card import status_card
from bot.messages import Button, Choice, Menu, Outgoing, PlanLine, Post, StatusCard
from bot.platforms.discord.keys import (
    SEARCH,
    Carried,
    custom_id,
    matching,
    nonce_of,
    number_of,
    read_custom_id,
    short_value,
    whole_value,
)
from bot.platforms.discord.layout import MESSAGE_CHARACTERS, render, split_post
from bot.platforms.discord.markdown import discord_markdown, escape, units
from bot.thread_posts import Reword, Say, repository_menu
from session import events as e
from tests.bot.hostile import BLOCKS, MARKS, buttons, cards, long_texts, menus, posts, short_texts
from tests.bot.test_thread_posts import STORIES, steps
from tests.bot.views import STATES, view_of
from tests.emulators.discord.message_rules import check_create
from tests.emulators.discord.refusals import Json
from tests.emulators.discord.rendering import controls, texts, walk

CARDS_SNAPSHOT = Path(__file__).with_name("discord_cards.txt")
POSTS_SNAPSHOT = Path(__file__).with_name("discord_posts.txt")
URL = "https://bellhop.example.com"

PINGS = (
    "@everyone",
    "@here",
    "<@123456789012345678>",
    "<@!123456789012345678>",
    "<@&123456789012345678>",
    "@ever\u200byone",
    "@\u2060here",
    "@every\u200done",
    "@\x00everyone",
    "<@\u200b123456789012345678>",
    "<\u200d@123456789012345678>",
    "https://a.example/@everyone",
    "https://a.example/<@123456789012345678>",
    "[x](https://a.example/@here)",
    "`@everyone`",
    "```\n<@123456789012345678>\n```",
)
MARKED = (
    "[a](https://a.example/(b)_c)",
    "||spoiler||",
    "-# small",
    "__under__",
    "~~~",
    "\\",
    ">>> all",
    "1. ",
)
NASTY = st.sampled_from((*MARKS, *BLOCKS, *PINGS, *MARKED))
TEXT, LONG = short_texts(NASTY), long_texts(NASTY)

RINGS = re.compile(r"<@[!&]?\d+>|@(?:everyone|here)", re.IGNORECASE)
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\u2060\u200e\u200f\ufeff]")

BUTTONS = buttons(TEXT, LONG, "stop", "approve", "answer", "open_page", "pick_repository")
MENU = menus(TEXT, most_choices=40)
POSTS = posts(TEXT, LONG, BUTTONS, MENU, session_id="0123456789")
CARDS = cards(TEXT, LONG, BUTTONS, session_id="0123456789")


def payload(content: Outgoing) -> list[Json]:
    """What Discord would be sent."""
    components: list[Json] = render(content, 7).to_components()  # type: ignore[no-untyped-call]
    return components


def acceptable(content: Outgoing) -> None:
    """Discord would take it, and it rings nobody even where mentions were allowed."""
    taken = check_create({"components": payload(content), "flags": 1 << 15})
    assert taken.rings == ()
    for text in texts("", taken.components):
        assert not RINGS.search(UNSEEN.sub("", text)), text


@settings(max_examples=30, deadline=None)
@given(POSTS)
@example(Post("answer", "s1", "*" * 40_000))
@example(Post("answer", "s1", "```\n" + "x" * 20_000))
@example(Post("answer", "s1", "\n\n".join(PINGS), heading=" ".join(PINGS[:8]), footer=PINGS))
@example(Post("answer", "s1", "🎉" * 20_000, heading="🎉" * 300))
@example(
    Post("answer", "s1", "a" * 40_000, footer=("*" * 2_000,) * 8, buttons=(Button("stop", "🎉" * 200),) * 12)
)
@example(Post("answer", "s1", "Which?", menu=Menu("pick_repository", "Pick…", (Choice("\x85", "odd"),))))
def test_no_post_is_refused_or_rings_anybody(post: Post) -> None:
    for part in split_post(post):
        acceptable(part)


@settings(max_examples=30, deadline=None)
@given(CARDS)
@example(
    StatusCard(
        "s1",
        1,
        "*" * 300,
        "*" * 300,
        "working",
        facts=(("*" * 50, "*" * 500),) * 12,
        plan=(PlanLine("*" * 500, "pending"),) * 40,
        action="*" * 500,
        notes=("*" * 500,) * 8,
        buttons=tuple(Button("stop", "🎉" * 100, value="&" * 50) for _ in range(20)),
    )
)
def test_no_card_is_refused_or_rings_anybody(card: StatusCard) -> None:
    acceptable(card)


@settings(max_examples=30, deadline=None)
@given(LONG)
def test_nothing_rings_out_of_text(text: str) -> None:
    for made in (discord_markdown(text), escape(text)):
        assert not RINGS.search(UNSEEN.sub("", made))


@given(st.text(max_size=40), st.text(max_size=30), st.text(max_size=30), st.integers(0, 30))
def test_a_button_carries_back_what_it_was_given(session_id: str, ref: str, value: str, index: int) -> None:
    carried = Carried("approve", session_id, ref, value)
    made = custom_id(carried, index)
    assert made is None or (read_custom_id(made) == carried and 0 < len(made) <= 100)


def test_an_approval_with_its_whole_digest_fits_a_button() -> None:
    carried = Carried("approve", "0123456789", "a_0123456789abcdef", "f0" * 32)
    made = custom_id(carried, 11)
    assert made is not None
    assert read_custom_id(made) == carried


@pytest.mark.parametrize(
    "text",
    ["", "bh", "bh|stop|0|s1|", "xx|stop|0|s1|||", "bh|dance|0|s1|||", "bh|stop|0|s1|||x", "bh|=!|0|s1|||"],
)
def test_buttons_of_others_are_told_apart(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_custom_id(text)


def test_a_key_becomes_a_number_and_a_nonce_that_discord_takes() -> None:
    keys = [f"chat:discord:0123456789:{n}.0.0" for n in range(500)]
    assert len({number_of(key) for key in keys}) == 500
    assert all(0 < number_of(key) < 2**31 and len(nonce_of(key)) <= 25 for key in keys)


def test_every_repository_can_be_chosen_however_long_or_many() -> None:
    many = [Choice(f"acme/{'x' * n}-{n}", f"acme/{n}", "a service") for n in range(150)]
    assert [whole_value(short_value(choice.value), many) for choice in many] == [c.value for c in many]
    (few,) = [c for c in controls(payload(repository_menu("s1", "Which?", (), many[:25]))) if "options" in c]
    assert len(few["options"]) == 25
    (search,) = controls(payload(repository_menu("s1", "Which?", (), many)))
    assert read_custom_id(search["custom_id"]).action == SEARCH
    found = [choice.label for choice in matching(many, "ACME/14 service", 3)]
    assert found == ["acme/14", "acme/140", "acme/141"]
    candidates = (e.Candidate(slug=many[149].value),)
    button, search = controls(payload(repository_menu("s1", "Which?", candidates, many, many[148].value)))
    assert whole_value(read_custom_id(button["custom_id"]).value, many) == many[149].value
    for asked in (button, search):
        assert whole_value(read_custom_id(asked["custom_id"]).ref, many) == many[148].value


def test_markdown_becomes_discords_own() -> None:
    markdown = """\
# Rounding
### Why

Rounded **half up**, not *even*, in `billing`; see [the pull request](https://example.com/7?a=1&b=(2)).

- first
- second
  - nested

1. one
2. two

> quoted @everyone

| file | lines |
|---|---|
| a.py | 10 |

```python
if a < b & c: pass  # <@123>
```

a_b_c costs 3 * 4 ||really||
"""
    assert (
        discord_markdown(markdown)
        == """\
## Rounding

### Why

Rounded **half up**, not *even*, in `billing`; see [the pull request](https://example.com/7?a=1&b=%282%29).

- first
- second
  - nested

1. one
2. two

> quoted @\u200beveryone

```
file  lines
a.py  10
```

```python
if a < b & c: pass  # <@\u200b123>
```

a\\_b\\_c costs 3 \\* 4 \\|\\|really\\|\\|"""
    )


def test_plain_text_stays_plain() -> None:
    assert escape("2. two\n- x\n> y") == "2\u200b. two\n\\- x\n\\> y"
    assert escape("see https://a.example/b_c_d, *please*") == "see https://a.example/b_c_d, \\*please\\*"
    assert escape("👩\u200d💻 and @ever\u200dyone") == "👩\u200d💻 and @\u200beveryone"


def test_a_label_that_reads_like_another_address_is_followed_by_where_it_leads() -> None:
    assert (
        discord_markdown("[github.com](https://evil.example/a)")
        == "[github.com](https://evil.example/a) (evil.example)"
    )
    assert discord_markdown("[https://github.com/a](https://github.com@evil.example)").endswith(
        " (evil.example)"
    )
    assert discord_markdown("![github.com](https://evil.example/a.png)").endswith(" (evil.example)")
    assert discord_markdown("[github.com](https://github.com/a)") == "[github.com](https://github.com/a)"
    assert discord_markdown("<https://github.com/a_b>") == "https://github.com/a_b"
    assert discord_markdown("[x](javascript:alert(1))") == "\\[x\\](javascript:alert(1))"


def test_the_conclusion_of_a_long_answer_is_in_its_last_message() -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "word " * 60 for n in range(40)) + "\n\nSo: **merge it**."
    parts = split_post(Post("answer", "s1", text, footer=("2 files",)))
    assert len(parts) > 2
    assert all(units(discord_markdown(part.text)) <= MESSAGE_CHARACTERS for part in parts)
    shown = str(payload(parts[-1]))
    assert "So: **merge it**." in shown
    assert "2 files" in shown


def outline(components: list[Json]) -> Iterator[str]:
    """What is sent, a line for each component."""
    for component in walk(components):
        match component["type"]:
            case 10:
                yield component["content"]
            case 14:
                yield "———"
            case 2:
                yield f"[{component['label']}]" + (f" → {component['url']}" if "url" in component else "")
            case 3:
                yield f"[{component['placeholder']}: {', '.join(o['label'] for o in component['options'])}]"
            case 17:
                yield f"(colour {component['accent_color']:06x})"


def all_cards() -> str:
    """Every card, as Discord shows it."""
    shown = (
        f"== {name}\n" + "\n".join(outline(payload(status_card(view_of(*events), public_url=URL))))
        for name, events in STATES.items()
    )
    return "\n\n".join(shown) + "\n"


def all_posts() -> str:
    """Every kind of post, as Discord shows it."""
    shown = []
    for name, events in STORIES.items():
        posts = [step.post for step in steps(events) if isinstance(step, Say | Reword)]
        shown.append(f"== {name}\n" + "\n--\n".join("\n".join(outline(payload(post))) for post in posts))
    return "\n\n".join(shown) + "\n"


def test_every_card_and_post_looks_as_it_was_agreed() -> None:
    """To agree to new ones: `python -m tests.bot.test_discord_layout`, then read the difference."""
    assert all_cards() == CARDS_SNAPSHOT.read_text(encoding="utf-8")
    assert all_posts() == POSTS_SNAPSHOT.read_text(encoding="utf-8")
    for events in STATES.values():
        acceptable(status_card(view_of(*events), public_url=URL))


if __name__ == "__main__":
    CARDS_SNAPSHOT.write_text(all_cards(), encoding="utf-8")
    POSTS_SNAPSHOT.write_text(all_posts(), encoding="utf-8")
