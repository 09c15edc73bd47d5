"""Addresses of the local forge, which has no pages of its own: they lead to the session's changes here."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from companion_web.door import Door, see_other
from companion_web.visitors import Visitor
from session.log import Log


class ForgeLinks:
    """`/forge/<owner>/<name>/pull/<number>` and `/forge/<owner>/<name>/compare/<base>...<branch>`."""

    def __init__(self, log: Log, door: Door) -> None:
        self._log = log
        self._door = door

    def routes(self) -> list[Route]:
        """Where they are."""
        page = self._door.page
        return [
            Route("/forge/{owner}/{name}/pull/{number:int}", page(self.pull_request), methods=["GET"]),
            Route("/forge/{owner}/{name}/compare/{range:path}", page(self.branch), methods=["GET"]),
        ]

    async def pull_request(self, request: Request, visitor: Visitor) -> Response:
        """The changes of the session whose pull request it is."""
        number: int = request.path_params["number"]
        return self._changes(request, visitor, await self._log.find_by_pull_request(_slug(request), number))

    async def branch(self, request: Request, visitor: Visitor) -> Response:
        """The changes of the session that published the branch."""
        branch = str(request.path_params["range"]).partition("...")[2]
        return self._changes(request, visitor, await self._log.find_by_branch(_slug(request), branch))

    def _changes(self, request: Request, visitor: Visitor, session_id: str | None) -> Response:
        if session_id is None:
            return self._door.missing(request, visitor)
        return see_other(f"/s/{session_id}/changes")


def _slug(request: Request) -> str:
    return f"{request.path_params['owner']}/{request.path_params['name']}"
