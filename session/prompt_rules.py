"""How prompts and routing change a session."""

from __future__ import annotations

from session import events as e
from session.rules import FoldError, changed, rule, set_prompt
from session.view import Failure, PromptView, SessionView, WordsView


@rule.register
def _(event: e.SessionOpened, view: SessionView, record: e.Recorded) -> SessionView:
    raise FoldError(f"session {view.id} was opened twice")


@rule.register
def _(event: e.TitleChanged, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, title=event.title)


@rule.register
def _(event: e.PromptQueued, view: SessionView, record: e.Recorded) -> SessionView:
    prompts = (*view.prompts, PromptView(prompt=event.prompt, seq=record.seq))
    if view.words is not None and view.words.prompt.id != event.prompt.id:  # talk has gone on
        view = changed(view, words=None)
    if view.state == "awaiting_repository":  # its words may tell which repository is meant
        return changed(view, prompts=prompts, state="routing", asked=None, each_by=None)
    if view.state not in ("idle", "stopped", "failed"):
        return changed(view, prompts=prompts)
    return changed(view, prompts=prompts, state="queued" if view.repository else "routing", failure=None)


@rule.register
def _(event: e.PromptEdited, view: SessionView, record: e.Recorded) -> SessionView:
    item = view.prompt(event.prompt_id)
    if item is None:
        return view
    reworded = item.prompt.model_copy(update={"text": event.text})
    return changed(view, prompts=set_prompt(view, event.prompt_id, prompt=reworded))


@rule.register
def _(event: e.PromptCancelled, view: SessionView, record: e.Recorded) -> SessionView:
    after = changed(view, prompts=set_prompt(view, event.prompt_id, state="cancelled"))
    if view.state in ("queued", "routing", "awaiting_repository") and not after.waiting_prompts:
        return changed(after, state="idle")
    return after


@rule.register
def _(event: e.SteerRequested, view: SessionView, record: e.Recorded) -> SessionView:
    item = view.prompt(event.prompt_id)
    if item is None:
        return view
    marked = item.prompt.model_copy(update={"steer": True})
    return changed(view, prompts=set_prompt(view, event.prompt_id, prompt=marked))


@rule.register
def _(event: e.PromptSteered, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, prompts=set_prompt(view, event.prompt_id, state="running"))


@rule.register
def _(event: e.RepositoryChosen, view: SessionView, record: e.Recorded) -> SessionView:
    state = view.state
    if state in ("routing", "awaiting_repository"):
        state = "queued" if view.waiting_prompts else "idle"
    if view.repository is not None and view.repository.slug != event.slug:
        # What was seen of the former repository says nothing of this one.
        view = changed(view, changes=None, verification=None, held_back=(), plan=(), last_action="")
    return changed(view, repository=event, asked=None, each_by=None, state=state)


@rule.register
def _(event: e.RepositoryAsked, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, asked=event, each_by=None, state="awaiting_repository")


@rule.register
def _(event: e.EachRequested, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, each_by=event.by)


@rule.register
def _(event: e.EachFailed, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, each_by=None)


@rule.register
def _(event: e.RoutingFailed, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, state="failed", failure=Failure(cause=event.cause, advice=event.advice))


# Plain words


@rule.register
def _(event: e.WordsTaken, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, unread=(*view.unread, event.prompt))


@rule.register
def _(event: e.WordsUnderstood, view: SessionView, record: e.Recorded) -> SessionView:
    read = next((prompt for prompt in view.unread if prompt.id == event.prompt_id), None)
    unread = tuple(prompt for prompt in view.unread if prompt.id != event.prompt_id)
    did = read is not None and event.meaning != "follow_up" and not event.trouble
    words = WordsView(prompt=read, understood=event, former_model=view.model) if read and did else view.words
    return changed(view, unread=unread, words=words, model=event.model or view.model)


@rule.register
def _(event: e.WordsWithdrawn, view: SessionView, record: e.Recorded) -> SessionView:
    model = view.words.former_model if view.words else view.model
    return changed(view, words=None, model=model)
