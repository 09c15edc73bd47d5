"""Why an operation was not done."""

from __future__ import annotations


class Refused(Exception):
    """The arguments do not allow it; the sentence goes to whoever called."""


class Failed(Exception):
    """It was tried and did not work; the sentence goes to whoever called."""
