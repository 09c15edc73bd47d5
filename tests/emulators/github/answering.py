"""Answering requests as GitHub does, each held to GitHub's description, with the faults on order."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.emulators.github import repositories
from tests.emulators.github.access import Access, Actor, Refused
from tests.emulators.github.faults import Fault, Faults
from tests.emulators.github.openapi import Description, match
from tests.emulators.github.pulls import PullEndpoints
from tests.emulators.github.rest import Call, Handler

API_PREFIX = "/api/v3"
GIT_PATH = re.compile(r"/([^/]+/[^/]+?)(?:\.git)?(/info/refs|/git-upload-pack|/git-receive-pack)")


@dataclass(frozen=True)
class Request:
    """One request as it was answered. `body` is the JSON sent, None for git and sign-in."""

    method: str
    path: str
    query: str
    actor: str
    status: int
    body: Any


class Answering:
    """REST under `/api/v3`, and git over HTTP beside it. Keeps a log of requests and of broken rules."""

    def __init__(
        self,
        access: Access,
        pulls: PullEndpoints,
        routes: dict[tuple[str, str], Handler],
        description: Description,
        faults: Faults,
        requests: list[Request],
        violations: list[str],
    ) -> None:
        self._access = access
        self._pulls = pulls
        self._routes = routes
        self._description = description
        self._faults = faults
        self._requests = requests
        self._violations = violations

    async def rest(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path.removeprefix(API_PREFIX)
        body = _json(await request.read())
        if fault := self._faults.take(request.method, path, "before"):
            return self._fault(request, path, fault, body)
        actor = Actor()
        try:
            actor = self._access.actor(request.headers.get("Authorization"))
            status, answer = await self._answer(request, path, actor, body)
        except Refused as refusal:
            status, answer = refusal.status, _refusal(refusal)
        if fault := self._faults.take(request.method, path, "after"):
            return self._fault(request, path, fault, body)
        self._log(request, path, actor.name, status, body)
        return web.json_response(
            answer, status=status, headers={"X-GitHub-Media-Type": "github.v3; format=json"}
        )

    async def _answer(self, request: web.Request, path: str, actor: Actor, body: Any) -> tuple[int, Any]:
        endpoint = f"{request.method} {path}"
        if "User-Agent" not in request.headers:
            self._violations.append(f"{endpoint}: no User-Agent")
        for (method, template), handler in self._routes.items():
            parameters = match(template, path) if method == request.method else None
            if parameters is None:
                continue
            query = dict(request.query)
            faults = self._description.request_faults(method, template, parameters, query, body)
            if faults:
                self._violations += [f"{endpoint}: {fault}" for fault in faults]
                raise Refused(422, "Validation Failed", [{"code": "invalid", "message": faults[0]}])
            try:
                status, answer = await handler(Call(actor, parameters, query, body))
            except Refused as refusal:
                status, answer = refusal.status, _refusal(refusal)
            wrong = self._description.response_faults(method, template, status, answer)
            self._violations += [f"{endpoint}: {fault}" for fault in wrong]
            return status, answer
        self._violations.append(f"{endpoint}: the emulator has no such endpoint")
        raise Refused(404, "Not Found")

    async def git(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path
        found = GIT_PATH.fullmatch(path)
        if found is None:
            return web.Response(status=404, text="Not Found")
        if fault := self._faults.take(request.method, path, "before"):
            return self._fault(request, path, fault, None)
        slug, suffix = found.groups()
        service = request.query.get("service") or suffix.removeprefix("/")
        pushing = service == "git-receive-pack"
        actor = Actor()
        try:
            actor = self._access.actor(request.headers.get("Authorization"))
            repository = self._access.repository(actor, slug, "contents", "write" if pushing else "read")
        except Refused as refusal:
            # Asked without a name, GitHub answers 401 to what it would hide, so that git offers one.
            status = 401 if actor.token is None else refusal.status
            self._log(request, path, actor.name, status, None)
            headers = {"WWW-Authenticate": 'Basic realm="GitHub"'} if status == 401 else {}
            return web.Response(status=status, text=refusal.message, headers=headers)
        response = await repositories.serve(
            repository.path, suffix, request, await request.read(), actor.name
        )
        if suffix == "/git-receive-pack":
            pusher = actor.token.user if actor.token and actor.token.user else repository.owner
            await self._pulls.after_push(repository, pusher)
        if fault := self._faults.take(request.method, path, "after"):
            return self._fault(request, path, fault, None)
        self._log(request, path, actor.name, response.status, None)
        return response

    def _fault(self, request: web.Request, path: str, fault: Fault, body: Any) -> web.Response:
        self._log(request, path, "fault", fault.status, body)
        if fault.status == 0:
            assert request.transport is not None
            request.transport.abort()
        answer = {"message": fault.message, "documentation_url": "https://docs.github.com/rest"}
        return web.json_response(answer, status=fault.status or 502, headers=fault.headers)

    def _log(self, request: web.Request, path: str, actor: str, status: int, body: Any) -> None:
        self._requests.append(Request(request.method, path, request.query_string, actor, status, body))


def _json(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return content.decode("utf-8", "replace")


def _refusal(refusal: Refused) -> dict[str, Any]:
    answer = {
        "message": refusal.message,
        "documentation_url": "https://docs.github.com/rest",
        "status": str(refusal.status),
    }
    return answer if refusal.errors is None else {**answer, "errors": refusal.errors}
