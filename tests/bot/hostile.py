"""Content that has hurt others, of which cards and posts are made for every platform."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from bot.messages import Action, Button, Choice, Menu, PlanLine, Post, StatusCard

# Marks, escapes, fences, emoji, nothing at all; each platform adds what rings people there.
MARKS = ("```", "`", "*", "_", "~", "|", "&", "<", ">", "&amp;", "🎉", "\u202e", "\n", "\n\n", "")
BLOCKS = ("- a\n  - b\n", "1. a\n", "| a | b |\n|---|---|\n| 1 | 2 |\n", "> q\n", "# h\n")

Texts = SearchStrategy[str]
Buttons = SearchStrategy[tuple[Button, ...]]


def short_texts(nasty: Texts) -> Texts:
    """Such pieces among other characters."""
    return st.lists(st.one_of(nasty, st.text(max_size=40)), max_size=30).map("".join)


def long_texts(nasty: Texts) -> Texts:
    """The same, or one piece over and over."""
    return st.one_of(
        short_texts(nasty), st.builds(lambda piece, times: piece * times, nasty, st.integers(1, 500))
    )


def buttons(text: Texts, long: Texts, *actions: Action) -> Buttons:
    """Buttons that do this."""
    return st.lists(
        st.builds(
            Button,
            action=st.sampled_from(actions),
            label=text,
            ref=st.text(max_size=40),
            value=long,
            style=st.sampled_from(["primary", "danger", "plain"]),
            url=st.one_of(st.none(), st.just("https://example.com/s/1"), text),
        ),
        max_size=30,
    ).map(tuple)


def menus(text: Texts, most_choices: int) -> SearchStrategy[Menu | None]:
    """A menu of repositories, or none."""
    choices = st.lists(
        st.builds(Choice, value=st.text(max_size=200), label=text, description=text), max_size=most_choices
    )
    return st.one_of(st.none(), st.builds(lambda c: Menu("pick_repository", "Pick…", tuple(c)), choices))


def posts(
    text: Texts, long: Texts, pressed: Buttons, menu: SearchStrategy[Menu | None], session_id: str
) -> SearchStrategy[Post]:
    """Answers."""
    return st.builds(
        Post,
        kind=st.just("answer"),
        session_id=st.just(session_id),
        text=long,
        heading=text,
        footer=st.lists(long, max_size=12).map(tuple),
        buttons=pressed,
        menu=menu,
    )


def cards(text: Texts, long: Texts, pressed: Buttons, session_id: str) -> SearchStrategy[StatusCard]:
    """Cards."""
    steps = st.sampled_from(["pending", "in_progress", "done", "dropped"])
    return st.builds(
        StatusCard,
        session_id=st.just(session_id),
        revision=st.just(1),
        title=long,
        state=long,
        tone=st.sampled_from(["waiting", "working", "done", "failed", "stopped", "quiet"]),
        facts=st.lists(st.tuples(text, long), max_size=12).map(tuple),
        plan=st.lists(st.builds(PlanLine, text=long, status=steps), max_size=40).map(tuple),
        action=long,
        notes=st.lists(long, max_size=10).map(tuple),
        buttons=pressed,
    )
