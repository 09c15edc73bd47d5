"""Tool servers for the agent: the broker speaks to them, holds their credentials, keeps to what was accepted.

The worker names a session and a tool; which servers that session may use is read from the record and the
catalogue. A tool is used as it was accepted: one that changed, or came later, waits for a person.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

from mcp import MCPError
from pydantic import ValidationError

from sandbox.agent.json_value import JsonObject
from sandbox.broker.mcp_acceptance import Acceptance
from sandbox.broker.mcp_answers import as_result, cut
from sandbox.broker.mcp_connection import Conversation, McpEndpoint, McpUnavailable, Ways, converse
from sandbox.broker.mcp_consent import Consent, McpNeedsApproval
from sandbox.broker.mcp_listing import ListedTool, Listing, prefix, read_listing
from sandbox.broker.mcp_session import McpRefused, McpSession, session_of
from sandbox.broker.mcp_wire import NEEDS_APPROVAL, McpAsked, McpCall, McpResult, McpTool, McpTools
from sandbox.broker.operations import Caller, Operation, Part
from sandbox.broker.vault import VaultError
from session import events as e
from session.audit import Audit, AuditEntry, Outcome
from session.catalogue import Catalogue
from session.effects import Effect, Effects
from session.halt import KillSwitch
from session.log import Log
from session.mcp_pins import McpPins
from session.people import Declared
from session.policy import McpServer
from session.view import SessionView

T = TypeVar("T")
MAX_ARGUMENT_BYTES = 256 * 1024
UNKNOWN = "Whether it took effect is not known: look before you call it again."


class McpDisabled(McpRefused):
    """The tool is not what was accepted, and nobody has accepted it since."""


MCP_KINDS: Mapping[type[Exception], str] = {
    McpRefused: "mcp_refused",
    McpDisabled: "mcp_disabled",
    McpNeedsApproval: NEEDS_APPROVAL,
    McpUnavailable: "mcp_unavailable",
}
"""What the gateway may answer instead of doing it, by the names that travel."""


class Secrets(Protocol):
    """Where credentials come from."""

    async def get(self, name: str) -> str | None:
        """The secret of that name, or None."""
        ...


@dataclass(frozen=True, slots=True)
class McpParts:
    """What the gateway needs of the house."""

    log: Log
    catalogue: Catalogue
    audit: Audit
    switch: KillSwitch
    pins: McpPins
    effects: Effects
    secrets: Secrets
    ways: Ways


class McpGateway:
    """Lists and calls the tools of tool servers for sessions."""

    def __init__(self, parts: McpParts) -> None:
        self._parts = parts
        self._acceptance = Acceptance(parts.log, parts.pins, parts.audit)
        self._consent = Consent(parts.log, parts.audit)

    async def tools(self, asked: McpAsked, caller: Caller) -> McpTools:
        """The tools of the session's repository, each with whether it may be used.

        Emits: ApprovalUsed. Raises: McpRefused, Halted, AuditDown, DatabaseDown.
        """
        session = await self._session(asked.session_id)
        servers = session.repository.mcp
        if not servers:
            return McpTools(tools=())
        await self._parts.switch.check()
        for server in servers:
            await self._audit(session, "mcp.list", server.name, "allowed")
        listings = await asyncio.gather(*(self._listing(server) for server in servers))
        tools: list[McpTool] = []
        problems: list[str] = []
        for server, listing in zip(servers, listings, strict=True):
            problems += listing.problems
            tools += await self._acceptance.judge(session, server.name, listing.tools)
        tools.sort(key=lambda tool: tool.name)
        return McpTools(tools=tuple(tools), problems=tuple(problems))

    async def call(self, asked: McpCall, caller: Caller) -> McpResult:
        """What the tool answers. Whatever goes wrong once it was asked is an error for the model to read.

        Emits: UntrustedRead, ApprovalUsed.
        Raises: McpRefused, McpDisabled, McpNeedsApproval, McpUnavailable, Halted, AuditDown, DatabaseDown.
        """
        session = await self._session(asked.session_id)
        server = _server_of(session, asked.name)
        _check_works(session.view)
        arguments = _arguments(asked.arguments_json)
        await self._parts.switch.check()
        told = {
            "call": asked.call_id,
            "arguments": hashlib.sha256(asked.arguments_json.encode()).hexdigest(),
            "bytes": str(len(asked.arguments_json.encode())),
        }
        await self._audit(session, "mcp.call", asked.name, "allowed", told)
        endpoint = await self._endpoint(server)
        effects, key, sent = self._parts.effects, f"mcp:{session.view.id}:{asked.call_id}", False

        async def work(conversation: Conversation) -> McpResult:
            nonlocal sent
            tool = await self._accepted(session, server, endpoint, conversation, asked.name)
            known = await effects.known(key)
            if known.state != "new":
                # Asked about only what is yet to happen: the call itself marked the session.
                return _remembered(known)
            await self._consent.check(session, server.name, tool)
            await self._mark_untrusted(session.view.id, server.name)
            await self._parts.switch.check()
            earlier = await effects.begin(key, session.view.id)
            if earlier.state != "new":
                return _remembered(earlier)
            sent = True
            return await _answer(conversation, tool, arguments, endpoint.hide)

        try:
            result = await self._converse(endpoint, self._parts.ways.times.call_seconds, work)
        except McpUnavailable as error:
            if not sent:
                raise
            result = cut(f"{error} {UNKNOWN}", endpoint.hide, is_error=True)
        if sent:
            await effects.finish(key, result.model_dump_json())
        return result

    async def _session(self, session_id: str) -> McpSession:
        return await session_of(self._parts.log, self._parts.catalogue, session_id)

    async def _listing(self, server: McpServer) -> Listing:
        """What the server lists; when it cannot be used, the sentence that says so."""
        try:
            endpoint = await self._endpoint(server)
            tools = await self._converse(endpoint, self._parts.ways.times.list_seconds, Conversation.tools)
        except McpUnavailable as error:
            return Listing((), (str(error),))
        return read_listing(server.name, server.tools, tools, endpoint.hide)

    async def _accepted(
        self,
        session: McpSession,
        server: McpServer,
        endpoint: McpEndpoint,
        conversation: Conversation,
        name: str,
    ) -> ListedTool:
        """The tool as the server lists it now. Raises: McpRefused, McpDisabled."""
        tools = await conversation.tools()
        listing = read_listing(server.name, server.tools, tools, endpoint.hide)
        judged = await self._acceptance.judge(session, server.name, listing.tools)
        for tool, judgement in zip(listing.tools, judged, strict=True):
            if tool.name != name:
                continue
            if judgement.state == "accepted":
                return tool
            await self._audit(session, "mcp.call", name, "refused", {"digest": tool.digest})
            raise McpDisabled(_not_accepted(judgement))
        raise McpRefused(f"The tool server {server.name} does not offer {name} here now.")

    async def _endpoint(self, server: McpServer) -> McpEndpoint:
        """Where the server is, with its credential. Raises: McpUnavailable, DatabaseDown."""
        use = server.credential
        if use is None:
            return McpEndpoint(server.name, server.url)
        try:
            secret = await self._parts.secrets.get(use.secret)
        except VaultError as error:
            raise McpUnavailable(f"The tool server {server.name} cannot be used now: {error}") from error
        if secret is None:
            raise McpUnavailable(
                f"The tool server {server.name} needs the secret {use.secret}, which is not set; "
                f"`bellhop secrets set {use.secret}` sets it."
            )
        value = use.form.replace("{}", secret)
        return McpEndpoint(server.name, server.url, {use.header: value}, (secret, value))

    async def _converse(
        self, endpoint: McpEndpoint, seconds: float, work: Callable[[Conversation], Awaitable[T]]
    ) -> T:
        return await converse(endpoint, self._parts.ways, seconds, work)

    async def _mark_untrusted(self, session_id: str, source: str) -> None:
        def decide(view: SessionView) -> list[e.Event]:
            return [] if source in view.untrusted else [e.UntrustedRead(source=source)]

        await self._parts.log.record(session_id, decide)

    async def _audit(
        self,
        session: McpSession,
        action: str,
        target: str,
        outcome: Outcome,
        detail: Mapping[str, str] | None = None,
    ) -> None:
        await self._parts.audit.write(
            AuditEntry(
                actor=session.actor,
                action=action,
                target=target,
                outcome=outcome,
                session_id=session.view.id,
                detail=detail or {},
            )
        )


def mcp_operations(gateway: McpGateway) -> tuple[Operation[Declared, Declared], ...]:
    """What the worker can ask of the gateway."""
    worker: frozenset[Part] = frozenset({"worker"})
    tools = Operation("mcp.tools", McpAsked, worker, gateway.tools)
    call = Operation("mcp.call", McpCall, worker, gateway.call)
    return cast("tuple[Operation[Declared, Declared], ...]", (tools, call))


def _server_of(session: McpSession, name: str) -> McpServer:
    for server in session.repository.mcp:
        if name.startswith(prefix(server.name)):
            return server
    raise McpRefused(f"No tool server of {session.repository.slug} has a tool called {name}.")


def _check_works(view: SessionView) -> None:
    if not view.turn_open or view.archived or view.stop_requested is not None:
        raise McpRefused("The session does no work now, so no tool is called for it.")


def _arguments(text: str) -> JsonObject:
    if len(text.encode()) > MAX_ARGUMENT_BYTES:
        raise McpRefused(f"The arguments are larger than {MAX_ARGUMENT_BYTES // 1024} KB; send less at once.")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise McpRefused(f"The arguments are not JSON ({error}).") from error
    if not isinstance(value, dict):
        raise McpRefused("The arguments must be a JSON object.")
    return value


async def _answer(
    conversation: Conversation, tool: ListedTool, arguments: JsonObject, hide: Callable[[str], str]
) -> McpResult:
    try:
        return as_result(await conversation.call(tool.tool, arguments), hide)
    except MCPError as error:
        return cut(f"{tool.name} failed: {error.message}", hide, is_error=True)
    except ValidationError:
        return cut(f"What {tool.name} answered cannot be read. {UNKNOWN}", hide, is_error=True)


def _remembered(earlier: Effect) -> McpResult:
    if earlier.result is None:
        return McpResult(
            text=f"This call was begun before, and its end was not seen. {UNKNOWN}", is_error=True
        )
    return McpResult.model_validate_json(earlier.result)


def _not_accepted(tool: McpTool) -> str:
    what = "has changed since it was accepted" if tool.state == "changed" else "is new on its server"
    return (
        f"The tool {tool.server}/{tool.tool} {what}, so it is switched off. People are asked at the start of "
        "the next turn whether to use it; work without it until then."
    )
