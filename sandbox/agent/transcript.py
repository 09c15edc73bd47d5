"""The conversation with the model, rebuilt from the session's events each time: there is no second store."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sandbox.agent.model import (
    AssistantMessage,
    ImagePart,
    ModelMessage,
    Part,
    SystemMessage,
    TextPart,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
)
from session import events as e
from session.people import Attachment, Prompt

ORPHANED = (
    "This call was cut off before it returned. Whether it took effect is not known: look before repeating it."
)
LET_GO = (
    "What was saved of your earlier work is not kept any more. What of it was published is on its branch of "
    "origin: fetch that and go on from it, since publishing anything else would replace it."
)
CLEARED = "[this output was cleared to save room; repeat the call if you need it]"
CLEARED_ABOVE_CHARACTERS = 400
ARGUMENT_CHARACTERS = 400
HARNESS = "Bellhop"


def messages(records: Iterable[e.Recorded], system: str, *, vision: bool) -> list[ModelMessage]:
    """The whole conversation so far, ready for the next call of the model.

    `system` is the system prompt; `vision` whether the model can be shown images.
    """
    records = tuple(records)
    rebuilt = _Rebuilder(vision=vision, compacted=_compaction(records))
    for record in records:
        rebuilt.take(record)
    return [SystemMessage(system), *rebuilt.finish()]


def untrusted(source: str, text: str) -> str:
    """`text` from elsewhere, marked so that it is read as data; it cannot close the mark itself."""
    inert = text.replace("</untrusted", "<\u200b/untrusted")
    return f'<untrusted source="{source.replace(chr(34), chr(39))}">\n{inert}\n</untrusted>'


def render_prompt(prompt: Prompt, *, vision: bool) -> UserMessage:
    """A prompt as the model reads it: who asks, what, and the thread and files that came with it."""
    blocks = [f"{prompt.author.name} writes:\n{prompt.text}"]
    if prompt.context:
        lines = "\n".join(f"{line.author}: {line.text}" for line in prompt.context)
        blocks.append("The conversation before that, for context only:\n" + untrusted("chat thread", lines))
    parts: list[Part] = []
    for attachment in prompt.attachments:
        words, image = _attachment(attachment, vision)
        blocks.append(words)
        if image is not None:
            parts.append(image)
    return UserMessage((TextPart("\n\n".join(blocks)), *parts))


def _attachment(attachment: Attachment, vision: bool) -> tuple[str, ImagePart | None]:
    name = f"{attachment.name} ({attachment.media_type}, {attachment.size_bytes} bytes)"
    if attachment.text is not None:
        return f"Attached: {name}\n{untrusted(attachment.name, attachment.text)}", None
    image = _image(attachment.image_data_url) if attachment.image_data_url else None
    if image is None:
        return f"Attached, but its content was not handed on: {name}", None
    if not vision:
        return f"Attached: {name}. This model cannot see images.", None
    return f"Attached image: {name}", image


def _image(data_url: str) -> ImagePart | None:
    head, _, data = data_url.partition(",")
    if not head.startswith("data:image/") or not head.endswith(";base64"):
        return None
    try:
        return ImagePart(
            head.removeprefix("data:").removesuffix(";base64"), base64.b64decode(data, validate=True)
        )
    except binascii.Error:
        return None


def _compaction(records: Sequence[e.Recorded]) -> e.ContextCompacted:
    found = [record.event for record in records if isinstance(record.event, e.ContextCompacted)]
    if not found:
        return e.ContextCompacted(turn_id="", cleared_before=0)
    summarised = next((event for event in reversed(found) if event.summary), found[-1])
    cleared = max(event.cleared_before for event in found)
    return summarised.model_copy(update={"cleared_before": cleared})


@dataclass(slots=True)
class _Rebuilder:
    """Takes the events one by one. Between a call and its result nothing may stand, so words that come then
    wait in `held` until every call is answered."""

    vision: bool
    compacted: e.ContextCompacted
    out: list[ModelMessage] = field(default_factory=list)
    held: list[ModelMessage] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    prompts: dict[str, Prompt] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    questions: dict[str, e.QuestionAsked] = field(default_factory=dict)
    summary_told: bool = False

    def take(self, record: e.Recorded) -> None:
        summarised = record.seq < self.compacted.summarised_before
        if not summarised and self.compacted.summary and not self.summary_told:
            self.summary_told = True
            self._say(f"The work before this point, in short:\n{self.compacted.summary}")
        match record.event:
            case e.PromptQueued(prompt=prompt):
                self.prompts[prompt.id] = prompt
            case e.PromptEdited(prompt_id=prompt_id, text=text) if prompt_id in self.prompts:
                self.prompts[prompt_id] = self.prompts[prompt_id].model_copy(update={"text": text})
            case e.TurnStarted(prompt_id=prompt_id) | e.PromptSteered(prompt_id=prompt_id):
                self._prompt(prompt_id)
            case e.QuestionAsked() as question:
                self.questions[question.question_id] = question
            case e.ModelReplied() as reply if not summarised:
                self._reply(reply, record.seq)
            case e.ToolReturned() as result if not summarised:
                self._result(result, record.seq)
            case other if not summarised:
                self._words(other)

    def finish(self) -> list[ModelMessage]:
        self._close_calls()
        return self.out

    def _prompt(self, prompt_id: str) -> None:
        prompt = self.prompts.get(prompt_id)
        if prompt is None:
            return
        if prompt_id in self.shown:
            self._say(f"{prompt.author.name}'s last prompt is to be tried again.")
            return
        self.shown.add(prompt_id)
        self._add(render_prompt(prompt, vision=self.vision))

    def _reply(self, reply: e.ModelReplied, seq: int) -> None:
        self._close_calls()
        if not reply.text and not reply.tool_calls:
            return
        old = seq < self.compacted.cleared_before
        calls = tuple(
            ToolCallRequest(call.call_id, call.tool, _arguments(call.arguments, shorten=old))
            for call in reply.tool_calls
        )
        self.out.append(AssistantMessage(reply.text, calls))
        self.unanswered = [call.call_id for call in calls]

    def _result(self, result: e.ToolReturned, seq: int) -> None:
        if result.call_id not in self.unanswered:
            return
        clear = seq < self.compacted.cleared_before and len(result.output) > CLEARED_ABOVE_CHARACTERS
        self.out.append(ToolMessage.of(result.call_id, CLEARED if clear else result.output or "(no output)"))
        self.unanswered.remove(result.call_id)
        if not self.unanswered:
            self._release()

    def _words(self, event: e.Event) -> None:
        match event:
            case e.NoteAdded(text=text):
                self._say(text)
            case e.QuestionAnswered() as answer:
                question = self.questions.get(answer.question_id)
                if question is not None and not question.call_id:
                    self._say(f"Asked: {question.text}\n{answer.by.name} answers: {answer.text}")
            case e.SandboxLost(cause=cause):
                self._say(f"The sandbox died: {cause}.")
            case e.SandboxReady(replaced=True, restored=restored, let_go=let_go):
                self._say(
                    f"The sandbox is a new one; {restored or 'nothing was restored'}. "
                    f"Processes you had started are gone.{f' {LET_GO}' if let_go else ''}"
                )
            case e.SessionStopped(by=by):
                self._say(f"{by.name} stopped the work here.")
            case e.TurnFailed(cause=cause):
                self._say(f"The turn ended here: {cause}")
            case e.PullRequestStateChanged(number=number, state=state):
                self._say(f"Pull request #{number} is now {state}.")

    def _say(self, text: str) -> None:
        self._add(UserMessage.of(f"{HARNESS} notes: {text}"))

    def _add(self, message: ModelMessage) -> None:
        (self.held if self.unanswered else self.out).append(message)

    def _close_calls(self) -> None:
        self.out.extend(ToolMessage.of(call_id, ORPHANED) for call_id in self.unanswered)
        self.unanswered = []
        self._release()

    def _release(self) -> None:
        self.out.extend(self.held)
        self.held = []


def _arguments(raw: str, *, shorten: bool) -> str:
    """The arguments as valid JSON: a provider refuses a history that holds anything else."""
    try:
        value = json.loads(raw)
    except ValueError:
        return json.dumps({"malformed": raw[:ARGUMENT_CHARACTERS]})
    if not isinstance(value, dict):
        return json.dumps({"malformed": raw[:ARGUMENT_CHARACTERS]})
    if not shorten or len(raw) <= ARGUMENT_CHARACTERS:
        return raw
    return json.dumps(
        {
            key: f"{part[:ARGUMENT_CHARACTERS]}…"
            if isinstance(part, str) and len(part) > ARGUMENT_CHARACTERS
            else part
            for key, part in value.items()
        }
    )
