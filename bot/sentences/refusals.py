"""What the bot says where it does nothing: not allowed, not now, not found, or it failed itself."""

from __future__ import annotations

from bot.long_text import one_line

HOW_TO = (
    "Hi! Tell me in the same message what you would like changed, in your own words, for example: "
    "“the invoice total is wrong when a discount is 100 %, please fix it and add a test”."
)
GUEST = "I take requests from full members here, not from guests. You are welcome to watch, though."
UNEXPECTED = (
    "Something went wrong on my side and I could not take that in. Please try again in a moment; "
    "if it happens again, show your admins this code: `{code}`."
)
NO_FORK_YET = "Forking a session is not possible yet. Start a new request and I will pick up from the branch."
ALREADY_HERE = "I am already on this one: the card is in its thread."
MESSAGE_GONE = "I cannot find that message any more, so I have nothing to start from."
NOTHING_TO_START = "There is no text in that message for me to work from."
NOT_IN_CHANNEL = "I am not in that channel, so I could not answer there. Invite me first, then try again."
OLD_BUTTON = "That has changed since; please use the newest message."
DATABASE_DOWN = (
    "My memory does not answer right now, so I have not taken that in. Please try again in a minute."
)
GONE = "I do not know that session any more."


def unread_file(name: str) -> str:
    """Said once for a file that cannot be read."""
    return f"I see the file “{one_line(name, 80)}”, but I cannot read that kind yet: I go by your words."


def unexpected(code: str) -> str:
    """Said when this edge itself fails; `code` finds the log line."""
    return UNEXPECTED.format(code=code)
