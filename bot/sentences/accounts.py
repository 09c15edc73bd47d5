"""What the bot says on accounts that are linked to people."""

from __future__ import annotations

from bot.sentences.figures import duration
from session.broker_accounts import DeviceCode

CODE_SPENT = "That code has been used, or its time is over. Your account page gives you a new one."
ACCOUNT_TAKEN = (
    "This chat account is linked already, together with others, so I cannot give it to somebody else. "
    "Ask an admin if that is wrong."
)
CODE_RAN_OUT = "The code ran out before it was typed in. Say “link github” for a new one."
NOT_LINKED = "No GitHub account of yours is linked, so there is nothing to unlink."


def linked(name: str) -> str:
    """A chat account and a person of the companion page are one from now on."""
    return f"Linked: what you ask for here is done as {name} from now on. If a turn failed over it, try 🔁."


def device_code(code: DeviceCode) -> str:
    """How to link a GitHub account, for the person alone."""
    return (
        f"To link your GitHub account, open {code.verification_uri} and type in **{code.user_code}** "
        f"within {duration(code.expires_in)}. I tell you here when it is done. The code is yours alone: give "
        "it to nobody, and type in none that somebody else gave you."
    )


def github_linked(login: str) -> str:
    """The code was typed in."""
    return (
        f"Linked: what you ask for is done as {login} on GitHub from now on. If a turn failed over it, "
        "try 🔁. “unlink github” takes it back."
    )


def unlinked(login: str) -> str:
    """The account is forgotten."""
    return f"Unlinked: nothing is done as {login} on GitHub for you any more. “link github” links it again."
