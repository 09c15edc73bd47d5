"""`/api/v1`: sessions as JSON, for the pages' scripts and for tools that run in a signed-in browser."""

from __future__ import annotations

from pydantic import Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from companion_web.actions import new_prompt
from companion_web.door import Door, problem
from companion_web.visitors import Visitor
from session.catalogue import Catalogue, UnknownRepository
from session.commands import Commands
from session.listing import SessionFilter, SessionRow
from session.log import Log
from session.people import Declared, Origin
from session.refusals import NotFound
from session.view import SessionView


class PromptBody(Declared):
    """What a prompt is sent as; `repository` counts only for a new session."""

    text: str
    repository: str | None = None
    steer: bool = False


class ApprovalBody(Declared):
    """Yes to exactly what has this digest."""

    digest: str = Field(min_length=1)


_ROWS = TypeAdapter(list[SessionRow])


class Api:
    """The same commands as the pages'. Reading needs a sign-in; changing also the `X-CSRF-Token` header."""

    def __init__(self, log: Log, commands: Commands, catalogue: Catalogue, door: Door) -> None:
        self._log = log
        self._commands = commands
        self._catalogue = catalogue
        self._door = door

    def routes(self) -> list[Route]:
        """Where they are."""
        data, change, base = self._door.data, self._door.change, "/api/v1/sessions"
        one = base + "/{session_id}"
        return [
            Route(base, data(self.list_sessions), methods=["GET"]),
            Route(base, change(self.open_session), methods=["POST"]),
            Route(one, data(self.get_session), methods=["GET"]),
            Route(f"{one}/prompts", change(self.add_prompt), methods=["POST"]),
            Route(f"{one}/stop", change(self.stop), methods=["POST"]),
            Route(f"{one}/approvals/{{approval_id}}/approve", change(self.approve), methods=["POST"]),
        ]

    async def list_sessions(self, request: Request, visitor: Visitor) -> Response:
        """Sessions, newest change first; `?repository=`, `?text=`."""
        given = request.query_params
        rows = await self._log.sessions(
            SessionFilter(repository=given.get("repository") or None, text=given.get("text") or None)
        )
        return _json(_ROWS.dump_json(rows))

    async def get_session(self, request: Request, visitor: Visitor) -> Response:
        """One session's state."""
        return _view(await self._log.view(request.path_params["session_id"]))

    async def open_session(self, request: Request, visitor: Visitor) -> Response:
        """A new session."""
        try:
            body = PromptBody.model_validate_json(await request.body())
            slug = self._catalogue.get(body.repository).slug if body.repository else None
        except ValidationError as error:
            return _malformed(error)
        except UnknownRepository as unknown:
            raise NotFound(unknown.sentence) from unknown
        prompt = new_prompt(body.text.strip(), visitor, repository=slug)
        return _view(await self._commands.open_session(prompt, Origin(platform="web")), 201)

    async def add_prompt(self, request: Request, visitor: Visitor) -> Response:
        """A follow-up."""
        try:
            body = PromptBody.model_validate_json(await request.body())
        except ValidationError as error:
            return _malformed(error)
        prompt = new_prompt(body.text.strip(), visitor, steer=body.steer)
        accepted = await self._commands.add_prompt(request.path_params["session_id"], prompt)
        return _view(accepted.view, 202)

    async def stop(self, request: Request, visitor: Visitor) -> Response:
        """Stops what runs."""
        return _view(await self._commands.stop(request.path_params["session_id"], visitor.person))

    async def approve(self, request: Request, visitor: Visitor) -> Response:
        """Yes to what the digest stands for."""
        try:
            body = ApprovalBody.model_validate_json(await request.body())
        except ValidationError as error:
            return _malformed(error)
        session_id, approval_id = request.path_params["session_id"], request.path_params["approval_id"]
        return _view(
            await self._commands.approve(session_id, approval_id, visitor.person, digest=body.digest)
        )


def _view(view: SessionView, status: int = 200) -> Response:
    return _json(view.model_dump_json().encode(), status)


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


def _malformed(error: ValidationError) -> Response:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the body"
    return problem(422, "Malformed", f"{place}: {first['msg']}")
