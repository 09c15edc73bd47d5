"""The rule of two: who has read what strangers wrote and holds what is private does not reach out alone."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.proposal import Proposal
from session import events as e
from session.catalogue import Repository
from session.people import Prompt
from session.view import SessionView

SHOWN_SOURCES = 3
SOURCE_CHARACTERS = 80
A_FILE = "a file that came with the request"
THE_THREAD = "what others wrote in the thread"


def needs_a_person(view: SessionView, repository: Repository) -> bool:
    """Whether what reaches beyond the session's own thread and a draft needs somebody's approval."""
    return bool(view.untrusted) and not repository.public


def stays_a_draft(view: SessionView, proposal: Proposal) -> bool:
    """Whether the proposal ends as a draft: an open pull request that is updated was one no more."""
    current = view.pull_request
    return proposal.draft and (current is None or current.state != "open")


def why(view: SessionView, repository: Repository) -> str:
    """The sentence that tells people why they are asked where the policy alone would not; else empty."""
    if repository.approvals.pull_request != "auto" or not needs_a_person(view, repository):
        return ""
    return (
        f"You are asked because this session has read text that strangers can write ({sources(view)}) and "
        "knows private code: look for changes that nobody asked for."
    )


def sources(view: SessionView) -> str:
    """What the session has read that strangers can write, in a few words for people."""
    named = [" ".join(source.split())[:SOURCE_CHARACTERS] for source in view.untrusted[:SHOWN_SOURCES]]
    more = len(view.untrusted) - len(named)
    return ", ".join([*named, *([f"{more} more"] if more else [])])


def untrusted_reads(view: SessionView, prompts: Iterable[Prompt]) -> tuple[e.UntrustedRead, ...]:
    """What handing these prompts to the agent makes it read that strangers can write; without what is known
    of the session already."""
    sources: list[str] = []
    if view.origin.trigger:
        sources.append(f"the message of {view.origin.trigger} that started it")
    for prompt in prompts:
        if prompt.attachments:
            sources.append(A_FILE)
        if any(not line.from_bot and line.author != prompt.author.name for line in prompt.context):
            sources.append(THE_THREAD)
    fresh = dict.fromkeys(source for source in sources if source not in view.untrusted)
    return tuple(e.UntrustedRead(source=source) for source in fresh)
