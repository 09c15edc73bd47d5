"""What the bot says to plain words: always what it understood, so that a misunderstanding is seen."""

from __future__ import annotations

from bot.sentences import figures, states
from session import events as e
from session.view import SessionView

UNDO = "Not what you meant? Say “undo”."
_LABELS = {
    "stop": "stop",
    "switch_model": "go on with another model",
    "move_repository": "go on in another repository",
    "status": "tell you how far I am",
}


def understood(event: e.WordsUnderstood, after: SessionView) -> str:
    """What a message was taken for, and what came of it; of a move that follows, `moved` says it."""
    if event.trouble:
        return f"You would like me to {_LABELS[event.meaning]}, I take it. {event.trouble}"
    match event.meaning:
        case "switch_model":
            return f"Going on with `{event.model}` from the next turn, instead of `{event.former}`. {UNDO}"
        case "stop":
            return f"You want me to stop, I take it, so I do. {UNDO}"
        case "move_repository":
            return "**Another repository, I take it. Which one?** I start anew there as soon as you pick."
        case _:
            return how_far(after)


def how_far(view: SessionView) -> str:
    """How far the session is, as its card has it."""
    said = [f"**{states.state_words(view)}.**"]
    if view.plan:
        done = sum(item.status == "done" for item in view.plan)
        said.append(f"{done} of {len(view.plan)} steps of the plan are done.")
    if view.turn_open and view.last_action:
        said.append(f"The last thing I did: {view.last_action}.")
    if view.changes is not None and view.changes.files:
        said.append(f"Changed so far: {figures.changes(view.changes)}.")
    if view.turn is not None:
        spent = ((view.turn.ended_at or view.updated_at) - view.turn.started_at).total_seconds()
        said.append(f"{figures.time_and_cost(spent, view)}.")
    if waiting := len(view.waiting_prompts):
        said.append("1 request waits in line." if waiting == 1 else f"{waiting} requests wait in line.")
    return " ".join(said)


def withdrawn(event: e.WordsWithdrawn) -> str:
    """What a message did is taken back."""
    again = f" `{event.former}` it is again." if event.former else ""
    request = " I take your words as a request instead." if event.is_request else ""
    return f"Taken back.{again}{request}"


def moved(chosen: e.RepositoryChosen, after: SessionView) -> str:
    """What a session leaves behind when it moves; one that was moved by words can be moved back by one."""
    by_words = after.words is not None and after.words.understood.slug == chosen.slug
    return f"{_left(chosen, saved=after.saved)} {UNDO}" if by_words else _left(chosen, saved=after.saved)


def _left(chosen: e.RepositoryChosen, *, saved: bool) -> str:
    if not chosen.dropped:
        return f"Now in **{chosen.slug}**. Nothing had been done in {chosen.former} yet."
    kept = (
        f"That stays saved with this session in {chosen.former}: move back and it is there again."
        if saved
        else f"It could not be saved, so it is gone if {chosen.former} was meant after all."
    )
    return (
        f"Now in **{chosen.slug}**, starting afresh there. Left behind in {chosen.former}: "
        f"{_listed(chosen.dropped)}. {kept}"
    )


def _listed(parts: tuple[str, ...]) -> str:
    return " and ".join(parts) if len(parts) < 3 else f"{', '.join(parts[:-1])} and {parts[-1]}"
