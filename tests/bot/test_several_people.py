"""Several people in one thread: who says what, and whether the bot takes it. Scripts of conversations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.follow_ups import is_follow_up
from bot.messages import ChatMessage, ThreadMessage
from session.people import Identity

BEGIN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
BOT = "bellhop"

# A line: minute, who, words. What begins with "@bellhop" mentions the bot, "@Name" somebody else; the sign
# before the words says whether it is taken (+) or left alone (-). The first one opens the session.
SCRIPTS = {
    "one person goes on": """
        0 Ada + @bellhop round half up
        1 bellhop . On it.
        2 Ada + also add a test
        9 Ada + and a line in the changelog
        """,
    "a quarter of an hour is over": """
        0 Ada + @bellhop round half up
        14 Ada + also add a test
        28 Ada + and the docs
        44 Ada - lunch?
        45 Ada + @bellhop and the changelog
        """,
    "the bot spoke last, so whoever answers speaks to it": """
        0 Ada + @bellhop round half up
        1 bellhop . Which tax rate?
        2 Grace + 19 %
        3 Ada - thanks Grace
        4 Grace - sure
        """,
    "people talk to each other": """
        0 Ada + @bellhop round half up
        1 bellhop . On it.
        2 Ada + also add a test
        3 Grace - should we not round to even?
        4 Ada - good question
        5 Grace - the auditors want half up
        6 Ada + @bellhop half up it is
        7 Ada + and say so in the docs
        """,
    "someone is called by name": """
        0 Ada + @bellhop round half up
        1 bellhop . Done.
        2 Ada - @Grace can you have a look?
        3 Grace - looks good
        4 Grace + @bellhop merge it then
        5 Grace + and delete the branch
        """,
    "a newcomer is silent until they mention it": """
        0 Ada + @bellhop round half up
        1 Ada + and add a test
        2 Linus - what is this about?
        3 Linus + @bellhop explain the rounding
        4 bellhop . It rounds half up.
        5 Linus + and the negative numbers?
        6 Ada - I would like to know that too
        """,
    "what the bot says late opens the thread again": """
        0 Ada + @bellhop round half up
        20 Grace - any news?
        21 bellhop . Pull request opened.
        50 Grace + please add the ticket number
        """,
    "stopping someone else's talk is nothing for the bot": """
        0 Ada + @bellhop round half up
        1 Grace - stop it, Linus
        2 Linus - you stop
        3 Ada - stop
        4 Ada + @bellhop stop
        """,
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_the_silence_rule(script: str) -> None:
    thread: list[ThreadMessage] = []
    prompts: set[str] = set()
    for number, line in enumerate(script.strip().splitlines()):
        minute, name, sign, words = line.split(maxsplit=3)
        at = BEGIN + timedelta(minutes=int(minute))
        said = ThreadMessage(str(number), name, name, words, at, from_bot=name == BOT)
        thread.append(said)
        if name == BOT:
            continue
        message = ChatMessage(
            event_id=str(number),
            platform="console",
            workspace="w",
            channel="c",
            thread="0",
            message=str(number),
            author=Identity(platform="console", workspace="w", account=name, name=name),
            text=words,
            sent_at=at,
            mentions_bot=words.startswith("@bellhop"),
            mentions_others=words.startswith("@") and not words.startswith("@bellhop"),
        )
        taken = message.mentions_bot or is_follow_up(message, thread, prompts)
        assert taken == (sign == "+"), line.strip()
        if taken:
            prompts.add(message.message)
