"""The people and prompts of these tests."""

from __future__ import annotations

from itertools import count

from session.people import Identity, Origin, Person, Prompt

ORIGIN = Origin(
    platform="slack", workspace="T1", channel="C1", channel_name="dev", thread="100.1", message="100.1"
)
_numbers = count(1)


def identity(name: str, *, platform: str = "slack", guest: bool = False) -> Identity:
    """The account of somebody of that name."""
    return Identity(platform=platform, workspace="T1", account=name.lower(), name=name, guest=guest)


def prompt(author: Person, text: str = "Fix the login page", **more: object) -> Prompt:
    """A new prompt of that person."""
    return Prompt.model_validate({"id": f"prompt-{next(_numbers)}", "text": text, "author": author, **more})
