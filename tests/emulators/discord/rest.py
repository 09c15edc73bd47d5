"""The REST API over HTTP: the token, rate limits, faults, and the routes behind them."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from tests.emulators.discord import channel_routes, guild_routes, interaction_routes, message_routes
from tests.emulators.discord.call import Call, Route
from tests.emulators.discord.faults import Denied, Fault, TooMany
from tests.emulators.discord.gateway import Gateway
from tests.emulators.discord.interactions import Interactions
from tests.emulators.discord.rate_limits import RateLimiter, Verdict
from tests.emulators.discord.refusals import Json, Refused
from tests.emulators.discord.world import World
from tests.emulators.faults import Dropped, ServerError

ROUTES: Mapping[str, Route] = {
    **guild_routes.ROUTES,
    **channel_routes.ROUTES,
    **message_routes.ROUTES,
    **interaction_routes.ROUTES,
}
_WITHOUT_TOKEN = ("/interactions/", "/webhooks/")

# Real answers carry it; without, a client takes a 429 for a ban by the network in front of Discord.
_VIA = {"Via": "1.1 google"}
_PATTERNS = {
    name: re.compile("^" + re.escape(name.partition(" ")[2]).replace(re.escape("{}"), "([^/]+)") + "$")
    for name in ROUTES
}


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call as it was made: its route, the parts of its path, what it carried, the answer's status."""

    route: str
    ids: tuple[str, ...]
    body: Json
    status: int


@dataclass(slots=True)
class Rest:
    """Answers everything below `/api/v10`."""

    world: World
    gateway: Gateway
    interactions: Interactions
    token: str
    flags: Callable[[], int]
    limiter: RateLimiter
    calls: list[ApiCall] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    _faults: dict[str, deque[Fault]] = field(default_factory=dict)

    def fail_next(self, route: str, faults: Iterable[Fault]) -> None:
        """Let the next calls of `route` meet `faults`, one each."""
        assert route in ROUTES, f"there is no {route}"
        self._faults.setdefault(route, deque()).extend(faults)

    @property
    def unused_faults(self) -> list[str]:
        """Routes for which faults are still waiting."""
        return [route for route, faults in self._faults.items() if faults]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One HTTP request."""
        path = request.raw_path.partition("?")[0].removeprefix("/api/v10")
        route, ids = _route(request.method, path)
        body = await _body(request)
        if route is None:
            self.violations.append(f"{request.method} {path}: the emulator does not know this route")
            return _json({"message": "404: Not Found", "code": 0}, status=404)
        waiting = self._faults.get(route)
        fault = waiting.popleft() if waiting else None
        if isinstance(fault, TooMany):
            after = fault.retry_after_seconds
            return self._limited(route, ids, body, Verdict({"Retry-After": str(after)}, after))
        if isinstance(fault, Denied):
            return self._refused(
                route, ids, body, Refused(fault.status, fault.code, "Refused"), {}, quietly=True
            )
        if isinstance(fault, ServerError | Dropped) and not fault.committed:
            return self._broken(request, route, ids, body, fault)
        answer = self._answer(request, route, path, ids, body)
        if isinstance(fault, ServerError | Dropped):
            return self._broken(request, route, ids, body, fault)
        return answer

    def _answer(
        self, request: web.Request, route: str, path: str, ids: tuple[str, ...], body: Json
    ) -> web.Response:
        verdict = self.limiter.ask(route, ids[0] if ids else "")
        if verdict.retry_after is not None:
            return self._limited(route, ids, body, verdict)
        headers = dict(verdict.headers)
        if (
            not path.startswith(_WITHOUT_TOKEN)
            and request.headers.get("Authorization") != f"Bot {self.token}"
        ):
            return self._refused(route, ids, body, Refused(401, 0, "401: Unauthorized"), headers)
        call = Call(
            ids,
            body,
            dict(request.query),
            self.world,
            self.gateway,
            self.interactions,
            self.flags(),
            lambda said: self.violations.append(f"{route}: {said}"),
        )
        try:
            answer = ROUTES[route](call)
        except Refused as refusal:
            return self._refused(route, ids, body, refusal, headers)
        status = 204 if answer is None else 200
        self._record(route, ids, body, status)
        if answer is None:
            return web.Response(status=204, headers=headers)
        return _json(answer, headers=headers)

    def _refused(
        self,
        route: str,
        ids: tuple[str, ...],
        body: Json,
        refusal: Refused,
        headers: dict[str, str],
        *,
        quietly: bool = False,
    ) -> web.Response:
        self._record(route, ids, body, refusal.status)
        if refusal.is_violation and not quietly:
            self.violations.append(f"{route}: {refusal}")
        return _json(refusal.body(), status=refusal.status, headers={**headers, **_VIA})

    def _limited(self, route: str, ids: tuple[str, ...], body: Json, verdict: Verdict) -> web.Response:
        self._record(route, ids, body, 429)
        return _json(verdict.body(), status=429, headers={**verdict.headers, **_VIA})

    def _broken(
        self,
        request: web.Request,
        route: str,
        ids: tuple[str, ...],
        body: Json,
        fault: ServerError | Dropped,
    ) -> web.StreamResponse:
        if isinstance(fault, ServerError):
            self._record(route, ids, body, fault.status)
            return web.Response(status=fault.status, text="upstream connect error", headers=_VIA)
        self._record(route, ids, body, 0)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _record(self, route: str, ids: tuple[str, ...], body: Json, status: int) -> None:
        self.calls.append(ApiCall(route, ids, body, status))
        self.world.watch.changed()


def _json(
    body: Json | list[Json], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Discord names no character set, and clients go by that."""
    content = json.dumps(body).encode()
    return web.Response(body=content, status=status, headers=headers, content_type="application/json")


def _route(method: str, path: str) -> tuple[str | None, tuple[str, ...]]:
    for name, pattern in _PATTERNS.items():
        if name.startswith(f"{method} ") and (match := pattern.match(path)):
            return name, match.groups()
    return None, ()


async def _body(request: web.Request) -> Json:
    text = await request.text()
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {"list": found}
