"""Plain words and leading directives, and who is spoken to in a thread."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.follow_ups import is_follow_up
from bot.messages import ChatMessage, ThreadMessage
from bot.platforms.console.people import identity
from bot.wording import Wording, is_stop, read_wording

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "words", ["stop", "Stop!", "STOP IT", "please stop", "stop please.", "halt", "🛑 cancel"]
)
def test_words_that_stop(words: str) -> None:
    assert is_stop(words)


@pytest.mark.parametrize(
    "words", ["", "stop using tabs", "do not stop", "the bus stop", "cancel the invoice"]
)
def test_words_that_only_contain_a_stop(words: str) -> None:
    assert not is_stop(words)


@pytest.mark.parametrize(
    ("text", "wording"),
    [
        ("fix it", Wording("fix it")),
        ("!repo acme/web fix it", Wording("fix it", repository="acme/web")),
        ("!model small\n!branch next\nfix it", Wording("fix it", model="small", branch="next")),
        ("!repository `acme/web`, fix it", Wording("fix it", repository="acme/web")),
        ("!model a !model b fix", Wording("fix", model="b")),
        ("explain !model small", Wording("explain !model small")),
        ("!important: fix it", Wording("!important: fix it")),
        ("!repo", Wording("!repo")),
    ],
)
def test_leading_directives(text: str, wording: Wording) -> None:
    assert read_wording(text) == wording


def said(message: str, who: str, minutes_ago: float, *, bot: bool = False) -> ThreadMessage:
    return ThreadMessage(message, who.lower(), who, "…", NOW - timedelta(minutes=minutes_ago), bot)


ADA_NOW = ChatMessage(
    event_id="e1",
    platform="console",
    workspace="console",
    channel="console",
    thread="m1",
    message="m9",
    author=identity("Ada"),
    text="and the credit notes",
    sent_at=NOW,
)


@pytest.mark.parametrize(
    ("thread", "follows"),
    [
        ([], False),
        ([said("m1", "Ada", 60), said("m2", "Bellhop", 50, bot=True)], True),
        ([said("m1", "Ada", 5)], True),
        ([said("m1", "Ada", 16)], False),
        ([said("m1", "Ada", 5), said("m2", "Ada", 4)], True),
        ([said("m1", "Ada", 5), said("m2", "Grace", 4)], False),
        ([said("m1", "Ada", 5), said("m2", "Bellhop", 4, bot=True), said("m3", "Grace", 3)], False),
        ([said("m2", "Grace", 8), said("m1", "Ada", 5)], True),
        ([said("m3", "Ada", 5)], False),
        ([said("m2", "Bellhop", 9, bot=True), said("m9", "Ada", 0)], True),
        ([said("m2", "Bellhop", -1, bot=True)], False),
    ],
)
def test_who_is_spoken_to(thread: list[ThreadMessage], follows: bool) -> None:
    assert is_follow_up(ADA_NOW, thread, {"m1"}) == follows


def test_calling_on_others_is_not_speaking_to_the_bot() -> None:
    thread = [said("m2", "Bellhop", 1, bot=True)]
    assert not is_follow_up(replace(ADA_NOW, mentions_others=True), thread, {"m1"})
