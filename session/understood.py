"""What a short message in a session's thread was taken for, in the past tense."""

from __future__ import annotations

from typing import Literal

from session.people import Person, Prompt
from session.vocabulary import Event

Meaning = Literal["follow_up", "stop", "switch_model", "move_repository", "status"]


class WordsTaken(Event):
    """A short message is accepted. It may be a wish about the session itself, and is read before anything is
    made of it."""

    prompt: Prompt


class WordsUnderstood(Event):
    """What that message, `text`, was taken for, and done at once. `model` works from the next turn on instead
    of `former`; the session moves to the repository `slug`, and without one the person is asked. `trouble`
    says why a wish was not granted."""

    prompt_id: str
    meaning: Meaning
    by: Person
    text: str = ""
    model: str = ""
    slug: str = ""
    former: str = ""
    trouble: str = ""


class WordsWithdrawn(Event):
    """Somebody said "undo": what the message did is taken back, and with `is_request` it is work after all.
    `former` is what holds again, a model or a repository."""

    prompt_id: str
    by: Person
    former: str = ""
    is_request: bool = True
