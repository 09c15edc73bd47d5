"""Every sentence the bot says, in one place: short, warm, no jargon. A module for each subject."""

from bot.sentences import (
    accounts,
    approvals,
    clips,
    figures,
    held_back,
    overview,
    preferences,
    pull_requests,
    questions,
    refusals,
    sandbox,
    states,
    turns,
    words,
)

__all__ = [
    "accounts",
    "approvals",
    "clips",
    "figures",
    "held_back",
    "overview",
    "preferences",
    "pull_requests",
    "questions",
    "refusals",
    "sandbox",
    "states",
    "turns",
    "words",
]
