"""The bot's questions, and what they turn into once they are answered."""

from __future__ import annotations

from bot.long_text import one_line
from session import events as e
from session.each_repository import what_each_means
from session.people import Origin

WRONG_REPOSITORY = "**Sorry about that! Which repository is it?** I start anew as soon as you pick."
NEARLY_A_REPOSITORY = "**No repository is called quite so. Is it one of these?**"


def ask_repository(asked: e.RepositoryAsked, origin: Origin) -> str:
    """The question which repository is meant. origin: where it is asked."""
    lines = ["**Which repository do you mean?**"]
    if asked.reason:
        lines.append(asked.reason)
    lines.append("Pick one below, or just write its name.")
    if asked.together:
        lines.append(what_each_means(origin))
    return "\n\n".join(lines)


def repository_settled(chosen: e.RepositoryChosen) -> str:
    """What the question turns into once it is answered."""
    who = f", picked by {chosen.by.name}" if chosen.by else ""
    others = ", ".join(f"**{slug}**" for slug in chosen.beside)
    beside = f" The same for {others}: see the new threads here." if others else ""
    return f"Repository: **{chosen.slug}**{who}.{beside}"


def begun_for(slug: str, request: str, requester: str, first: str, link: str | None) -> str:
    """The first message of one repository's thread, when several were meant. first: the repository that
    stays with the request. link: to the request, where the session of that one lives."""
    where = f"[{first}]({link})" if link else f"**{first}**"
    part = f"Begun with {where}, for a request of {requester} about several repositories."
    return f"**{slug}**: {one_line(request, 200)}\n\n{part}"


def no_thread_for(slug: str) -> str:
    """Why not each of them has a session."""
    return (
        f"I cannot begin a thread for {slug} here at the moment. What has begun goes on; press again in a "
        "minute, or pick one repository."
    )


def question(asked: e.QuestionAsked) -> str:
    """A question of the agent."""
    return f"**A question before I go on:**\n\n{asked.text}"


def settled(asked: e.QuestionAsked, answer: e.QuestionAnswered) -> str:
    """What a question turns into once it is answered."""
    return f"**A question:**\n\n{asked.text}\n\n→ {answer.by.name}: {one_line(answer.text, 300)}"
