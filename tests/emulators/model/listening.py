"""Recordings sent to be written out (`/v1/audio/transcriptions`), taken as strictly as by the real service.

Source: https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deploy.demo.chat_requests import RequestRefused
from deploy.demo.model_server import error_body
from tests.emulators.model.turns import HttpFault

ENDINGS = frozenset({"flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "wav", "webm"})
MOST_BYTES = 25 * 1024 * 1024
_FIELDS = frozenset({"file", "model", "language", "prompt", "response_format", "temperature"})


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording as it came in."""

    model: str
    name: str
    content: bytes


@dataclass(slots=True)
class Listening:
    """What each model makes of the recordings it is sent, one after the other."""

    script: dict[str, deque[str | HttpFault]] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        """The words of the script.

        Raises: RequestRefused, for what the service would refuse.
        """
        if request.headers.get("content-type", "").partition(";")[0] != "multipart/form-data":
            raise RequestRefused("Invalid content type: a recording is sent as multipart/form-data.")
        async with request.form() as form:
            if unknown := set(form) - _FIELDS:
                raise RequestRefused(f"Unrecognized request arguments: {', '.join(sorted(unknown))}.")
            file, model = form.get("file"), str(form.get("model") or "")
            if not isinstance(file, UploadFile):
                raise RequestRefused("you must provide a file", param="file")
            content, name = await file.read(), file.filename or ""
            if form.get("response_format", "json") != "json":
                raise RequestRefused("this model answers json alone", param="response_format")
        if name.rpartition(".")[2].lower() not in ENDINGS:
            raise RequestRefused(f"Unrecognized file format. Supported formats: {sorted(ENDINGS)}")
        if not content:
            raise RequestRefused("Audio file is too short. Minimum audio length is 0.1 seconds.")
        if len(content) > MOST_BYTES:
            raise RequestRefused("Maximum content size limit exceeded.", status=413)
        if model not in self.script:
            raise RequestRefused(f"The model `{model}` does not exist.", code="model_not_found", status=404)
        if not self.script[model]:
            raise RequestRefused(f"the script of {model} has no words left for this recording")
        self.heard.append(Heard(model, name, content))
        said = self.script[model].popleft()
        if isinstance(said, HttpFault):
            return JSONResponse(error_body(said.message, said.code, kind="server_error"), said.status)
        return JSONResponse({"text": said})
