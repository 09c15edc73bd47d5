"""Commands: everything people (and their machines) can ask of a session, imperative."""

from __future__ import annotations

from session.decisions import DecisionCommands
from session.each_repository import EachCommands
from session.prompting import Accepted
from session.stopping import EndingCommands
from session.words import WordCommands

__all__ = ["Accepted", "Commands"]


class Commands(EachCommands, DecisionCommands, EndingCommands, WordCommands):
    """Carries commands out: checks rights, appends events, rings for a worker.

    Every command raises Refusal (with the sentence to show) when it will not be done, AlreadyClaimed when
    its claim was taken before (callers stay silent then), and DatabaseDown when nothing could be recorded.
    A command said twice does no harm.
    """
