"""The requests of one connection, one after another: read, decided, and answered by a server, by git's
handler or by the door itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence

import h11

from sandbox.broker.door.addresses import NotReachable, demand_name, literal, reachable
from sandbox.broker.door.box_side import BoxSide
from sandbox.broker.door.forwarding import BAD_GATEWAY, Outgoing, forward, prepared
from sandbox.broker.door.gate import DATABASE_DOWN, FORBIDDEN, UNAVAILABLE, Denied, Gate, Meter
from sandbox.broker.door.handlers import GitHandler, GitRequest
from sandbox.broker.door.headers import Header, UnknownPlaceholder, for_git
from sandbox.broker.door.judgement import Asked, Judgement, Refused
from sandbox.broker.door.parts import DoorParts, EgressSpent
from sandbox.broker.door.streams import Activity
from sandbox.broker.door.targets import BadTarget, Endpoint, Target, demand_host, target_of
from sandbox.broker.door.upstream import Upstream, UpstreamFailed
from session.database import DatabaseDown
from session.halt import Halted
from session.policy import READING


class Requests:
    """Answers the requests of one connection. Its connection to a server is kept for the next request."""

    def __init__(self, gate: Gate, parts: DoorParts, activity: Activity) -> None:
        self._gate = gate
        self._parts = parts
        self._activity = activity
        self._kept: Upstream | None = None

    async def aclose(self) -> None:
        """Let go of the server."""
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.close()

    async def answer(
        self, side: BoxSide, request: h11.Request, within: Endpoint | None, why_not: str | None
    ) -> None:
        """Answer the request. `within`: the server that the box opened TLS to. `why_not`: what forbids all
        that comes through there.

        Raises: Malformed, Gone.
        """
        await answering(side, self._decide(side, request, within, why_not))

    async def _decide(
        self, side: BoxSide, request: h11.Request, within: Endpoint | None, why_not: str | None
    ) -> None:
        method, raw = request.method.decode("ascii"), request.target.decode("latin-1")
        headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in request.headers.raw_items()]
        target = target_of(raw, within)
        demand_host(next((v for n, v in headers if n.lower() == "host"), None), target.endpoint)
        judgement = await self._gate.judgement(target.endpoint, method, target.path)
        if why_not is not None:
            raise await self._refused(target, method, Refused(why_not, allowable=False))
        git = self._parts.git
        if git is not None and judgement.forge_served and git.serves(self._gate.session_id, target.url):
            await self._by_git(git, side, method, target, headers)
            return
        await self._to_server(side, judgement, method, target, headers)

    async def _to_server(
        self, side: BoxSide, judgement: Judgement, method: str, target: Target, headers: Sequence[Header]
    ) -> None:
        await self._demand_reachable(judgement, method, target)
        asked = Asked(
            target.endpoint,
            method,
            target.path,
            line_bytes=len(method) + len(target.sent) + 2,
            header_bytes=sum(len(name) + len(value) + 4 for name, value in headers),
            has_body=side.has_body,
        )
        decision = judgement.decide(asked)
        if isinstance(decision, Refused):
            raise await self._refused(target, method, decision)
        try:
            outgoing = await prepared(method, target, headers, decision, self._parts)
        except UnknownPlaceholder as error:
            raise await self._refused(
                target, method, Refused(str(error).rstrip("."), allowable=False)
            ) from error
        meter = self._gate.meter()
        await meter.add(len(target.sent) + sum(len(n) + len(v) + 4 for n, v in outgoing.headers))
        await meter.settle()
        await self._gate.audit("allowed", target.endpoint, method, target.path, decision.why)
        await self._forwarded(side, judgement, outgoing, meter)

    async def _forwarded(self, side: BoxSide, judgement: Judgement, outgoing: Outgoing, meter: Meter) -> None:
        kept, self._kept = self._kept, None
        if kept is not None and kept.usable and kept.endpoint == outgoing.target.endpoint:
            try:
                await self._over(kept, side, judgement, outgoing, meter)
                return
            except UpstreamFailed:
                # Servers close connections that were silent; that says nothing about this request.
                if side.answering or side.has_body or outgoing.method not in READING:
                    raise
        elif kept is not None:
            await kept.close()
        addresses = await addresses_of(outgoing.target.endpoint, outgoing.method, self._gate, self._parts)
        upstream = await Upstream.open(outgoing.target.endpoint, addresses, self._parts, self._activity)
        await self._over(upstream, side, judgement, outgoing, meter)

    async def _over(
        self, upstream: Upstream, side: BoxSide, judgement: Judgement, outgoing: Outgoing, meter: Meter
    ) -> None:
        try:
            await forward(side, upstream, outgoing, self._gate, judgement, meter)
        finally:
            if upstream.next():
                self._kept = upstream
            else:
                await upstream.close()

    async def _by_git(
        self, git: GitHandler, side: BoxSide, method: str, target: Target, headers: Sequence[Header]
    ) -> None:
        await self._gate.audit("allowed", target.endpoint, method, target.path, "git")
        answer = await git.handle(
            GitRequest(
                session_id=self._gate.session_id,
                method=method,
                path=target.path,
                query=target.query or "",
                headers=for_git(headers),
                body=side.body() if side.has_body else _nothing(),
            )
        )
        try:
            await side.start(answer.status, answer.headers)
            async for piece in answer.body:
                await self._gate.brake.check()
                await side.send(piece)
            await side.finish()
        finally:
            if isinstance(answer.body, AsyncGenerator):  # there may be a process behind it
                await answer.body.aclose()

    async def _refused(self, target: Target, method: str, refused: Refused) -> Denied:
        return await self._gate.deny(target.endpoint, method, target.path, refused)

    async def _demand_reachable(self, judgement: Judgement, method: str, target: Target) -> None:
        host = target.endpoint.host
        try:
            if literal(host) is None:
                demand_name(host)
            elif not judgement.names_literal(host):
                raise NotReachable(f"{host} is an address; boxes reach hosts by name.")
        except NotReachable as error:
            raise await self._refused(target, method, _never(error)) from error


async def addresses_of(endpoint: Endpoint, method: str, gate: Gate, parts: DoorParts) -> Sequence[str]:
    """The addresses to connect to. Raises: Denied, UpstreamFailed."""
    try:
        async with asyncio.timeout(parts.connect_seconds):
            return await reachable(endpoint.host, endpoint.port, parts.networks, parts.resolver)
    except NotReachable as error:
        raise await gate.deny(endpoint, method, "", _never(error)) from error
    except (OSError, TimeoutError) as error:
        raise UpstreamFailed(f"{endpoint.host} has no address that the door can find.") from error


async def answering(side: BoxSide, work: Awaitable[None]) -> None:
    """Do the work; where it is refused or fails, the box is told in one sentence.

    Raises: Malformed, Gone.
    """
    try:
        await work
    except BadTarget as error:
        await side.answer(400, str(error))
    except UpstreamFailed as error:
        await side.answer(BAD_GATEWAY, str(error))
    except Denied as denied:
        await side.answer(denied.status, str(denied))
    except EgressSpent as spent:
        await side.answer(FORBIDDEN, str(spent))
    except Halted as halted:
        await side.answer(UNAVAILABLE, str(halted))
    except DatabaseDown:
        await side.answer(UNAVAILABLE, DATABASE_DOWN)


def _never(error: NotReachable) -> Refused:
    return Refused(str(error).rstrip("."), allowable=False)


async def _nothing() -> AsyncIterator[bytes]:
    pieces: tuple[bytes, ...] = ()
    for piece in pieces:
        yield piece
