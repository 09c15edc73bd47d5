"""The Web API over HTTP: tokens, scopes, rate limits, faults, and the methods behind them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from tests.emulators.faults import Dropped, ServerError
from tests.emulators.slack import agent_methods, chat_methods, reading_methods
from tests.emulators.slack.calls import Call, Method
from tests.emulators.slack.event_feed import EventFeed
from tests.emulators.slack.faults import Fault, TooMany, Unanswered
from tests.emulators.slack.method_rules import RULES, MethodRule, kind_scope
from tests.emulators.slack.rate_limits import RateLimiter
from tests.emulators.slack.refusals import Json, Refused
from tests.emulators.slack.views import Views
from tests.emulators.slack.workspace import Workspace

METHODS: Mapping[str, Method] = chat_methods.METHODS | reading_methods.METHODS | agent_methods.METHODS
_STRUCTURED = frozenset({"blocks", "metadata", "view", "chunks", "attachments", "unfurls"})


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call as it was made, and Slack's error (None where it went well)."""

    method: str
    args: Json
    error: str | None


@dataclass(slots=True)
class Credentials:
    """What an installation of the app holds."""

    bot_token: str
    app_token: str
    signing_secret: str
    bot_scopes: frozenset[str]
    revoked: set[str] = field(default_factory=set)

    def is_of_bot(self, token: str) -> bool:
        """Whether it is the bot's, or was."""
        return token == self.bot_token or token in self.revoked


@dataclass(slots=True)
class WebApi:
    """Answers `/api/<method>`. `limiter` None means that nothing is rate limited.

    `beside`: those of other workspaces that are reached at the same address, by their tokens.
    """

    workspace: Workspace
    feed: EventFeed
    views: Views
    credentials: Credentials
    limiter: RateLimiter | None
    agent_surface: bool
    open_socket: Callable[[], str]
    beside: list[WebApi] = field(default_factory=list)
    calls: list[ApiCall] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    _faults: dict[str, deque[Fault]] = field(default_factory=dict)
    _unanswered: list[Unanswered] = field(default_factory=list)

    def fail_next(self, method: str, faults: Iterable[Fault]) -> None:
        """Let the next calls of `method` meet `faults`, one each."""
        self._faults.setdefault(method, deque()).extend(faults)

    def uninstall(self) -> None:
        """The app leaves the workspace: its token is refused, and the app is told."""
        self.credentials.revoked.add(self.credentials.bot_token)
        self.feed.uninstalled(self.workspace.bot)

    def take_away(self, token: str) -> str | None:
        """Take the app from the workspace of the token, this one or one beside; Slack's error, None where the
        token is of neither."""
        owner = next((api for api in (self, *self.beside) if api.credentials.is_of_bot(token)), None)
        if owner is None:
            return None
        if token in owner.credentials.revoked:
            return "account_inactive"
        owner.uninstall()
        return ""

    def release_all(self) -> None:
        """Let every call that hangs be answered."""
        for fault in self._unanswered:
            fault.release()

    @property
    def unused_faults(self) -> list[str]:
        """Methods for which faults are still waiting."""
        return [method for method, faults in self._faults.items() if faults]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One HTTP request."""
        method = request.match_info["method"]
        args = await _arguments(request)
        token = _token(request, args)
        owner = next((api for api in self.beside if api.credentials.is_of_bot(token)), self)
        return await owner.perform(request, method, args, token)

    async def perform(self, request: web.Request, method: str, args: Json, token: str) -> web.StreamResponse:
        """One call of this workspace's."""
        waiting = self._faults.get(method)
        fault = waiting.popleft() if waiting else None
        if isinstance(fault, TooMany):
            return self._too_many(method, args, fault.retry_after_seconds)
        if isinstance(fault, ServerError | Dropped) and not fault.committed:
            return self._broken(request, method, args, fault)
        answer = await self._answer(method, args, token)
        if isinstance(fault, ServerError | Dropped):
            return self._broken(request, method, args, fault)
        if isinstance(fault, Unanswered):
            self._unanswered.append(fault)
            fault.reached.set()
            await fault.released.wait()
        return answer

    async def _answer(self, method: str, args: Json, token: str) -> web.Response:
        try:
            rule = self._rule(method)
            self._check_token(rule, token)
            if self.limiter is not None:
                seconds = self.limiter.retry_after(method, args.get("channel"))
                if seconds is not None:
                    return self._too_many(method, args, seconds)
            body = await self._perform(method, args)
        except Refused as refusal:
            self._record(method, args, refusal.error)
            if refusal.is_violation:
                self.violations.append(f"{method}: {refusal}")
            return self._json(refusal.body())
        self._record(method, args, None)
        return self._json({"ok": True, **body})

    async def _perform(self, method: str, args: Json) -> Json:
        if method == "apps.connections.open":
            return {"url": self.open_socket()}
        scopes = self.credentials.bot_scopes
        call = Call(method, args, self.workspace, self.feed, self.views, self.violations.append, scopes)
        rule = RULES[method]
        call.need(*rule.scopes)
        if rule.per_kind:
            call.need(kind_scope(self.workspace.channel(args.get("channel")).kind, rule.per_kind))
        return await METHODS[method](call)

    def _rule(self, method: str) -> MethodRule:
        if method in agent_methods.METHODS and not self.agent_surface:
            raise Refused("unknown_method")
        if method not in RULES:
            self.violations.append(f"{method}: the emulator does not know this method")
            raise Refused("unknown_method")
        return RULES[method]

    def _check_token(self, rule: MethodRule, token: str) -> None:
        if not token:
            raise Refused("not_authed")
        if token in self.credentials.revoked:
            raise Refused("account_inactive")
        if token not in (self.credentials.bot_token, self.credentials.app_token):
            raise Refused("invalid_auth")
        if rule.app_token != (token == self.credentials.app_token):
            raise Refused("not_allowed_token_type")

    def _too_many(self, method: str, args: Json, seconds: int) -> web.Response:
        self._record(method, args, "ratelimited")
        body = {"ok": False, "error": "ratelimited"}
        return web.json_response(body, status=429, headers={"Retry-After": str(seconds)})

    def _broken(
        self, request: web.Request, method: str, args: Json, fault: ServerError | Dropped
    ) -> web.StreamResponse:
        if isinstance(fault, ServerError):
            self._record(method, args, f"http_{fault.status}")
            return web.Response(status=fault.status, text="upstream connect error")
        self._record(method, args, "dropped")
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _record(self, method: str, args: Json, error: str | None) -> None:
        self.calls.append(ApiCall(method, args, error))
        self.workspace.watch.changed()

    def _json(self, body: Json) -> web.Response:
        scopes = ",".join(sorted(self.credentials.bot_scopes))
        return web.json_response(body, headers={"x-oauth-scopes": scopes})


async def _arguments(request: web.Request) -> Json:
    args: Json = dict(request.query)
    if request.content_type == "application/json":
        args |= json.loads(await request.text() or "{}")
    else:
        args |= {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    for name in _STRUCTURED & set(args):
        if isinstance(args[name], str):
            args[name] = json.loads(args[name])
    return args


def _token(request: web.Request, args: Json) -> str:
    header = request.headers.get("Authorization", "")
    from_args = str(args.pop("token", ""))
    return header.removeprefix("Bearer ") if header else from_args
