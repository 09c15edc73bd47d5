"""What people write about preferences, read: the same words everywhere, and a clear sentence for the rest."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.messages import Choice
from bot.preferences_words import (
    ListSessions,
    NotUnderstood,
    SetBranch,
    SetChannelMentions,
    SetChannelRepository,
    SetChannelWords,
    SetModel,
    SetVerbosity,
    ShowChannel,
    ShowHelp,
    ShowPreferences,
    Wish,
    preference_wish,
    read_wish,
)
from bot.repository_search import search
from session.channel_rules import WatchedWord


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("", ShowPreferences()),
        ("  Help ", ShowHelp()),
        ("sessions", ListSessions()),
        ("model gpt-5-mini", SetModel("gpt-5-mini")),
        ("Model: default", SetModel(None)),
        ("verbosity QUIET", SetVerbosity("quiet")),
        ("branch acme/web release/2.0", SetBranch("acme/web", "release/2.0")),
        ("branch acme/web default", SetBranch("acme/web", None)),
        ("channel", ShowChannel()),
        ("channel repo acme/web", SetChannelRepository("acme/web")),
        ("channel repository none", SetChannelRepository(None)),
        ("channel mentions on", SetChannelMentions(True)),
        ("channel mentions off", SetChannelMentions(False)),
        ("channel mentions default", SetChannelMentions(None)),
        ("channel words none", SetChannelWords(())),
        (
            "channel words outage, “build failed” it's invoices=acme/billing",
            SetChannelWords(
                (
                    WatchedWord("outage", starts=True),
                    WatchedWord("build failed", starts=True),
                    WatchedWord("it's", starts=True),
                    WatchedWord("invoices", repository="acme/billing"),
                )
            ),
        ),
    ],
)
def test_each_wish_is_understood_after_the_command_and_in_a_message(text: str, wish: Wish) -> None:
    assert read_wish(text) == wish
    assert preference_wish(f"Preferences {text}") == wish


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("modle x", "I do not know “modle” here. `/bellhop help`"),
        ("model", "`/bellhop model <name>`, or `default`."),
        ("model a b", "`/bellhop model <name>`"),
        ("verbosity", "`/bellhop verbosity quiet`, or `normal`, or `detailed`."),
        ("branch acme/web", "`/bellhop branch <repository> <branch>`"),
        ("channel paint", "`/bellhop channel mentions`"),
        ("channel mentions perhaps", "`/bellhop channel mentions on`, or `off`, or `default`."),
        ("channel words", "`/bellhop channel words"),
        ("channel words =acme/web", "I cannot read “=acme/web”"),
        ("channel words a=", "I cannot read “a=”"),
        ("sessions all", "`/bellhop sessions`."),
        ('channel words "outage', "quotation mark"),
    ],
)
def test_what_is_not_understood_is_said_in_a_sentence_and_may_be_a_request(text: str, sentence: str) -> None:
    with pytest.raises(NotUnderstood) as told:
        read_wish(text)
    assert sentence in told.value.sentence
    assert "\n" not in told.value.sentence
    assert preference_wish(f"preferences {text}") is None


def test_a_request_about_preferences_stays_a_request() -> None:
    assert preference_wish("preferences page is broken, please fix it") is None
    assert preference_wish("help me with the preferences") is None


@given(st.text(max_size=80))
def test_whatever_is_written_is_a_wish_or_not_understood(text: str) -> None:
    with suppress(NotUnderstood):
        assert read_wish(text) == read_wish(f" {text} ")


def test_a_search_puts_what_is_meant_first_however_many_there_are() -> None:
    many = [Choice(f"acme/api-{n}", f"acme/api-{n}", "an api") for n in range(150)]
    choices = [*many, Choice("acme/api", "acme/api"), Choice("acme/shop", "acme/shop", "has an API")]
    assert search(choices, "API")[0].value == "acme/api"
    assert search(choices, "acme/api-14")[0].value == "acme/api-14"
    assert [choice.value for choice in search(choices, "has api")] == ["acme/shop"]
    assert search(choices, " ") == choices
    assert search(choices, "nothing like it") == []
