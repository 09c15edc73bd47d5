"""When a message in a session's thread is meant for the bot although it does not mention it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from bot.messages import ChatMessage, ThreadMessage

STILL_TALKING = timedelta(minutes=15)
"""How long after a prompt its author need not mention the bot again."""


def is_follow_up(message: ChatMessage, thread: Sequence[ThreadMessage], prompts: Collection[str]) -> bool:
    """Whether the message speaks to the bot, though it does not say so.

    It does when the last word was the bot's; or when the author prompted this session in the last 15 minutes
    and nobody else has spoken since. It never does when it calls on other people.
    thread: what stands in the thread, oldest first (the message itself may be among it).
    prompts: ids of the messages that became prompts of this session.
    """
    earlier = [m for m in thread if m.message != message.message and m.at <= message.sent_at]
    if message.mentions_others or not earlier:
        return False
    if earlier[-1].from_bot:
        return True
    account = message.author.account
    for said in reversed(earlier):
        if said.from_bot:
            continue
        if said.account != account:
            return False
        if said.message in prompts:
            return message.sent_at - said.at <= STILL_TALKING
    return False
