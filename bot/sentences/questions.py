"""The bot's questions, and what they turn into once they are answered."""

from __future__ import annotations

from bot.long_text import one_line
from session import events as e

WRONG_REPOSITORY = "**Sorry about that! Which repository is it?** I start anew as soon as you pick."
NEARLY_A_REPOSITORY = "**No repository is called quite so. Is it one of these?**"


def ask_repository(asked: e.RepositoryAsked) -> str:
    """The question which repository is meant."""
    lines = ["**Which repository do you mean?**"]
    if asked.reason:
        lines.append(asked.reason)
    lines.append("Pick one below, or just write its name.")
    return "\n\n".join(lines)


def repository_settled(chosen: e.RepositoryChosen) -> str:
    """What the question turns into once it is answered."""
    who = f", picked by {chosen.by.name}" if chosen.by else ""
    return f"Repository: **{chosen.slug}**{who}."


def question(asked: e.QuestionAsked) -> str:
    """A question of the agent."""
    return f"**A question before I go on:**\n\n{asked.text}"


def settled(asked: e.QuestionAsked, answer: e.QuestionAnswered) -> str:
    """What a question turns into once it is answered."""
    return f"**A question:**\n\n{asked.text}\n\n→ {answer.by.name}: {one_line(answer.text, 300)}"
