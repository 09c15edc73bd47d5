"""Refusals: what a person asked for and will not get, each with the sentence that they are shown."""

from __future__ import annotations


class Refusal(Exception):
    """A command was not carried out. `sentence` is shown to the person as it is."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class NotAllowed(Refusal):
    """The person's rights do not reach that far."""


class NotFound(Refusal):
    """What the command is about does not exist."""


class NotNow(Refusal):
    """The command makes sense, but not in the state the session is in."""


class Changed(Refusal):
    """What the person saw is no longer what would happen."""
