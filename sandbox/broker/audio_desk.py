"""The broker's desk for voice clips: they go to the model provider, and come back as words."""

from __future__ import annotations

import base64
from typing import Any

import openai
from openai import AsyncOpenAI

from sandbox.broker.operations import Caller, Operation, Part
from session.audit import Audit, AuditEntry
from session.halt import KillSwitch
from session.transcripts import Recording, Transcript

ASKERS: frozenset[Part] = frozenset({"bot", "web", "operator"})
ENDINGS = {
    "audio/aac": "m4a",
    "audio/flac": "flac",
    "audio/m4a": "m4a",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/webm": "webm",
    "audio/x-m4a": "m4a",
    "audio/x-wav": "wav",
    "video/mp4": "mp4",
    "video/webm": "webm",
}
"""Kinds of recordings the provider reads; it goes by the ending of the name that it is given.
Source: https://platform.openai.com/docs/api-reference/audio/createTranscription"""


class Unheard(Exception):
    """The clip could not be written out; the message says why and can be shown to people."""


class AudioDesk:
    """Has clips written out by `model`. No session is charged: a clip comes before there is one."""

    def __init__(self, client: AsyncOpenAI, model: str, audit: Audit, switch: KillSwitch) -> None:
        self._client = client
        self._model = model
        self._audit = audit
        self._switch = switch

    def operations(self) -> list[Operation[Any, Any]]:
        """The desk's one operation, for the parts that chat comes in by."""
        return [Operation("audio.transcribe", Recording, ASKERS, self.transcribe)]

    async def transcribe(self, asked: Recording, caller: Caller) -> Transcript:
        """What is said in the clip. Raises: Unheard, Halted, AuditDown, DatabaseDown."""
        ending = ENDINGS.get(asked.media_type.partition(";")[0].strip().lower())
        if ending is None:
            raise Unheard("I cannot listen to that kind of recording.")
        try:
            content = base64.b64decode(asked.content, validate=True)
        except ValueError as error:
            raise Unheard("The recording arrived broken.") from error
        await self._switch.check()
        actor = f"{caller.name} for {asked.by}" if asked.by else caller.name
        size = {"bytes": str(len(content))}
        await self._audit.write(
            AuditEntry(
                actor=actor, action="model.transcribe", target=self._model, outcome="allowed", detail=size
            )
        )
        try:
            answer = await self._client.audio.transcriptions.create(
                file=(f"clip.{ending}", content), model=self._model, response_format="json"
            )
        except openai.OpenAIError as error:
            raise Unheard("What writes recordings out does not answer right now.") from error
        return Transcript(text=answer.text.strip())
