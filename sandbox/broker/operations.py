"""What can be asked of the broker: operations by name, each with who may ask and what travels."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import structlog
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.broker.git import GitFailed
from session.audit import AuditDown
from session.broker import Refusal
from session.database import DatabaseDown
from session.halt import Halted
from session.people import Declared

log = structlog.get_logger()

Part = Literal["bot", "web", "worker", "operator"]
Asked = TypeVar("Asked", bound=Declared)
Answered = TypeVar("Answered", bound=Declared)

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
REFUSED = 422
CALLER = "bellhop.caller"
MAX_BODY_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the other end of the socket, as the kernel says; in one process it is every part at once."""

    uid: int
    parts: frozenset[Part]

    @property
    def name(self) -> str:
        """The caller as the audit names it."""
        return "+".join(sorted(self.parts))


@dataclass(frozen=True, slots=True)
class Operation(Generic[Asked, Answered]):
    """One thing the broker does for the parts named in `parts`. `name` is `area.verb`."""

    name: str
    asks: type[Asked]
    parts: frozenset[Part]
    handle: Callable[[Asked, Caller], Awaitable[Answered]]

    def route(self, kinds: Mapping[type[Exception], str]) -> Route:
        """The operation as a route of the broker's application; `kinds` names the errors people can mend."""

        expected: tuple[type[Exception], ...] = (AuditDown, Halted, DatabaseDown, *kinds)

        async def endpoint(request: Request) -> Response:
            caller: Caller = request.scope[CALLER]
            if not self.parts & caller.parts:
                return _refusal(
                    "not_yours", f"{self.name} is not for {caller.name or 'this user'}.", status=403
                )
            try:
                asked = self.asks.model_validate_json(await _body(request))
            except ValidationError as error:
                return _refusal("malformed", f"{self.name}: {error.errors()[0]['msg']}", status=400)
            try:
                answer = await self.handle(asked, caller)
            except expected as error:
                return _refusal(_kind(error, kinds), str(error), _particulars(error))
            except Exception as error:  # the edge of the process: whoever asked must get an answer
                log.exception("operation failed", operation=self.name)
                if _finds_no_room(error):
                    return _refusal("no_room", "The disk of the broker has no room left: make some.")
                return _refusal("defect", f"Something went wrong inside the broker ({type(error).__name__}).")
            return Response(answer.model_dump_json(), media_type="application/json")

        return Route(f"/v1/{self.name}", endpoint, methods=["POST"])


def application(
    operations: Iterable[Operation[Declared, Declared]],
    kinds: Mapping[type[Exception], str],
    routes: Iterable[BaseRoute] = (),
) -> Starlette:
    """The broker's application. `routes` are those that are no operations, such as the model gateway."""
    return Starlette(routes=[*(operation.route(kinds) for operation in operations), *routes])


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            return b""
        parts.append(part)
    return b"".join(parts)


def _finds_no_room(error: Exception) -> bool:
    if isinstance(error, GitFailed):
        return any(os.strerror(number) in error.stderr for number in _NO_ROOM)
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def _kind(error: Exception, kinds: Mapping[type[Exception], str]) -> str:
    own = {AuditDown: "audit_down", Halted: "halted", DatabaseDown: "database_down", **kinds}
    return next(own[each] for each in type(error).__mro__ if each in own)


def _particulars(error: Exception) -> dict[str, str]:
    """The plain attributes that the error's class gives it, as text."""
    return {
        name: str(value)
        for name, value in vars(error).items()
        if isinstance(value, (str, int, float)) and not name.startswith("_")
    }


def _refusal(
    kind: str, message: str, detail: Mapping[str, str] | None = None, *, status: int = REFUSED
) -> Response:
    body = Refusal(kind=kind, message=message, detail=detail or {})
    return JSONResponse(body.model_dump(mode="json"), status)
