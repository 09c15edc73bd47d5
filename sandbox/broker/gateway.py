"""The model gateway: the only way to a model, and the only place that holds its key.

Workers send Chat Completions requests as they would to the provider, and say for which session. Each is let
through while nothing is switched off, the audit takes it, and the session's budgets have room; its answer
passes by as it comes, and what it cost is counted before its end is handed on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

import httpx2
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.agent.json_value import JsonObject
from sandbox.agent.model import Usage
from sandbox.agent.model_catalogue import ModelCatalogue
from sandbox.broker.budgets import BudgetDesk
from sandbox.broker.operations import CALLER, Caller
from sandbox.broker.passage import Passage, failure
from sandbox.broker.usage_meter import UsageMeter, estimated_input
from sandbox.certificates import model_authorities
from session.audit import Audit, AuditDown, AuditEntry, Outcome
from session.broker import PURPOSE_HEADER, SESSION_HEADER
from session.database import DatabaseDown
from session.halt import Halted, KillSwitch
from session.log import NoSuchSession
from session.spending import UNITS, Amounts, BudgetName, BudgetReserved, BudgetUsedUp, Reservation

log = structlog.get_logger()

Purpose = Literal["agent", "classifier", "compaction"]
MAX_REQUEST_BYTES = 64 * 1024 * 1024
CONNECT_SECONDS = 10.0
CALLERS = frozenset({"worker", "operator"})


@dataclass(frozen=True, slots=True)
class Provider:
    """The model provider: an address such as `https://api.example.com/v1`, and the key to it."""

    base_url: str
    api_key: str

    @property
    def headers(self) -> dict[str, str]:
        """What every request to it carries. Encoded answers could not be read on their way."""
        key = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return {**key, "Content-Type": "application/json", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Order:
    """One model call: for which session and purpose, of which model, with the most that it may use."""

    session_id: str
    purpose: Purpose
    model: str
    body: bytes
    input_tokens: int
    output_tokens: int

    @property
    def most(self) -> Usage:
        """The dearest way it can end."""
        return Usage(self.input_tokens, 0, self.output_tokens)


class ModelGateway:
    """Passes model calls on. Use as `async with`, so that its connections are closed.

    A model whose price nobody told us counts tokens only, not money.
    """

    def __init__(
        self,
        provider: Provider,
        models: ModelCatalogue,
        budgets: BudgetDesk,
        audit: Audit,
        switch: KillSwitch,
    ) -> None:
        self._provider = provider
        self._models = models
        self._budgets = budgets
        self._audit = audit
        self._switch = switch
        # How long to wait for words is the caller's to say: when it hangs up, so does this.
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20),
            verify=model_authorities(),
        )

    async def __aenter__(self) -> ModelGateway:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._client.aclose()

    async def completions(self, request: Request) -> Response:
        """`POST /v1/chat/completions`, with the headers `X-Bellhop-Session` and `X-Bellhop-Purpose`."""
        caller: Caller = request.scope[CALLER]
        if refusal := _not_for(caller):
            return refusal
        try:
            order = self._order(request, await _body(request))
            reservation = await self._admit(order, caller)
        except BadOrder as error:
            return failure(400, "malformed", str(error))
        except tuple(_REFUSALS) as error:
            return _refused(error)

        async def settle(meter: UsageMeter | None) -> None:
            await self._settle(order, reservation, meter)

        call = self._client.build_request(
            "POST", self._address("chat/completions"), content=order.body, headers=self._provider.headers
        )
        return Passage(self._client, call, self._provider.api_key, UsageMeter(order.input_tokens), settle)

    async def models(self, request: Request) -> Response:
        """`GET /v1/models`: what the provider lists."""
        if refusal := _not_for(request.scope[CALLER]):
            return refusal
        call = self._client.build_request("GET", self._address("models"), headers=self._provider.headers)

        async def settle(_: UsageMeter | None) -> None:
            """A list costs nothing."""

        return Passage(self._client, call, self._provider.api_key, UsageMeter(0), settle)

    def _address(self, path: str) -> str:
        return f"{self._provider.base_url.rstrip('/')}/{path}"

    def _order(self, request: Request, body: bytes) -> Order:
        session_id = request.headers.get(SESSION_HEADER, "")
        purpose = request.headers.get(PURPOSE_HEADER, "agent")
        if not session_id:
            raise BadOrder(f"The header {SESSION_HEADER} is missing: every model call is for a session.")
        asked = _parsed(body)
        model = asked.get("model")
        if not isinstance(model, str) or not model:
            raise BadOrder("The request names no model.")
        spec = self._models.spec(model)
        most = _number(asked, "max_completion_tokens") or _number(asked, "max_tokens")
        output_tokens = (most or spec.output_reserve_tokens) * (_number(asked, "n") or 1)
        return Order(session_id, _one_of(purpose), model, body, estimated_input(asked), output_tokens)

    async def _admit(self, order: Order, caller: Caller) -> Reservation:
        """Raises: Halted, AuditDown, DatabaseDown, NoSuchSession, BudgetUsedUp, BudgetReserved."""
        await self._switch.check()
        try:
            reservation = await self._budgets.reserve(order.session_id, self._counted(order, order.most))
        except BudgetUsedUp as error:
            await self._audited(order, caller, "refused", {"why": error.budget})
            raise
        try:
            await self._audited(order, caller, "allowed", {})
        except AuditDown:
            await self._budgets.settle(reservation, {})
            raise
        return reservation

    async def _settle(self, order: Order, reservation: Reservation, meter: UsageMeter | None) -> None:
        """Count what was used; nothing where the provider refused or was never reached."""
        used = self._counted(order, meter.usage) if meter is not None else {}
        try:
            await self._budgets.settle(reservation, used)
        except DatabaseDown as error:
            log.warning("model call not counted", session_id=order.session_id, used=used, reason=str(error))

    def _counted(self, order: Order, usage: Usage) -> Amounts:
        amounts: dict[BudgetName, int] = {"tokens": usage.input_tokens + usage.output_tokens}
        price = self._models.spec(order.model).price(usage)
        if price is not None:
            amounts["money_usd"] = math.ceil(price * UNITS["money_usd"])
        return amounts

    async def _audited(
        self, order: Order, caller: Caller, outcome: Outcome, detail: Mapping[str, str]
    ) -> None:
        entry = AuditEntry(
            actor=caller.name,
            action="model.call",
            target=order.model,
            outcome=outcome,
            session_id=order.session_id,
            detail={"purpose": order.purpose, "input_tokens": str(order.input_tokens), **detail},
        )
        await self._audit.write(entry)


def gateway_routes(gateway: ModelGateway) -> list[Route]:
    """The gateway's routes in the broker's application."""
    return [
        Route("/v1/chat/completions", gateway.completions, methods=["POST"]),
        Route("/v1/models", gateway.models, methods=["GET"]),
    ]


class BadOrder(Exception):
    """The request is not one that could be passed on."""


_REFUSALS: Mapping[type[Exception], tuple[int, str]] = {
    Halted: (503, "halted"),
    AuditDown: (503, "audit_down"),
    DatabaseDown: (503, "database_down"),
    NoSuchSession: (404, "no_such_session"),
    BudgetUsedUp: (402, "budget_spent"),
    BudgetReserved: (429, "budget_reserved"),
}


def _refused(error: Exception) -> Response:
    status, code = _REFUSALS[type(error)]
    more = {"budget": error.budget} if isinstance(error, BudgetUsedUp) else {}
    response = failure(status, code, str(error), **more)
    if isinstance(error, BudgetReserved):
        response.headers["Retry-After"] = "1"
    return response


def _not_for(caller: Caller) -> Response | None:
    if CALLERS & caller.parts:
        return None
    return failure(403, "not_yours", f"Models are not for {caller.name or 'this user'}.")


async def _body(request: Request) -> bytes:
    """Raises: BadOrder."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_REQUEST_BYTES:
            raise BadOrder(f"The request is larger than {MAX_REQUEST_BYTES // 1024**2} MB.")
        parts.append(part)
    return b"".join(parts)


def _parsed(body: bytes) -> JsonObject:
    try:
        asked = json.loads(body)
    except ValueError as error:
        raise BadOrder("The request is not JSON.") from error
    if not isinstance(asked, dict):
        raise BadOrder("The request is not a JSON object.")
    return asked


def _number(asked: JsonObject, name: str) -> int | None:
    """Raises: BadOrder."""
    value = asked.get(name)
    if value is None or (isinstance(value, int) and value > 0):
        return value
    raise BadOrder(f"{name} must be a whole number above zero.")


def _one_of(purpose: str) -> Purpose:
    if purpose not in get_args(Purpose):
        raise BadOrder(f"{PURPOSE_HEADER} must be one of {', '.join(get_args(Purpose))}.")
    return cast("Purpose", purpose)
