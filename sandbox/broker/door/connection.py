"""One connection of a box: plain requests, or a CONNECT and what comes through it."""

from __future__ import annotations

import asyncio

import h11

from sandbox.broker.door.authority import Authority
from sandbox.broker.door.box_side import BoxSide, Malformed
from sandbox.broker.door.gate import Gate
from sandbox.broker.door.judgement import TUNNEL, Judgement, Refused
from sandbox.broker.door.parts import DoorParts
from sandbox.broker.door.requests import Requests, addresses_of, answering
from sandbox.broker.door.streams import ASKED_CLOSE_SECONDS, Activity, Gone, PlainStream, TlsStream
from sandbox.broker.door.targets import Endpoint, endpoint_of
from sandbox.broker.door.tunnel import NotTls, client_hello, hello_refusal, relay
from sandbox.broker.door.upstream import connect
from session.policy import EgressRule


async def serve(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    gate: Gate,
    authority: Authority,
    parts: DoorParts,
) -> None:
    """Serve the connection to its end."""
    stream = PlainStream(reader, writer, Activity(parts.idle_seconds), ASKED_CLOSE_SECONDS)
    connection = Connection(stream, gate, authority, parts)
    try:
        await connection.run()
    except (Gone, NotTls):
        return
    finally:
        await connection.aclose()


class Connection:
    """Who is at the other end is known from the socket; see `Gate`."""

    def __init__(self, stream: PlainStream, gate: Gate, authority: Authority, parts: DoorParts) -> None:
        self._stream = stream
        self._gate = gate
        self._authority = authority
        self._parts = parts
        self._requests = Requests(gate, parts, stream.activity)

    async def run(self) -> None:
        """Return when the box has no more to ask. Raises: Gone, NotTls."""
        side = BoxSide(self._stream)
        asked = await self._rounds(side)
        if asked is None:
            return
        inside: list[Endpoint] = []
        await answering(side, self._connect(side, asked, inside))
        if inside:
            await self._inside(side, inside[0])
        else:
            await side.next()

    async def aclose(self) -> None:
        """End it, at both ends."""
        await self._requests.aclose()
        await self._stream.close()

    async def _rounds(
        self, side: BoxSide, within: Endpoint | None = None, why_not: str | None = None
    ) -> h11.Request | None:
        """Answer requests; the CONNECT that ends them, None when the connection does."""
        while True:
            try:
                request = await side.request()
                if request is None or (within is None and request.method == b"CONNECT"):
                    return request
                await self._requests.answer(side, request, within, why_not)
            except Malformed as error:
                await side.answer(error.status, str(error))
            if not await side.next():
                return None

    async def _connect(self, side: BoxSide, request: h11.Request, inside: list[Endpoint]) -> None:
        """Relay a tunnel to its end, or note in `inside` whose requests are to be read."""
        endpoint = endpoint_of(request.target.decode("latin-1"), "https")
        judgement = await self._gate.judgement(endpoint, TUNNEL, "")
        refused = judgement.port_refusal(endpoint.port)
        if refused is not None:
            raise await self._gate.deny(endpoint, TUNNEL, "", refused)
        rule = judgement.tunnel(endpoint)
        if rule is None:
            inside.append(endpoint)
        else:
            await self._tunnel(side, endpoint, rule, judgement)

    async def _inside(self, side: BoxSide, endpoint: Endpoint) -> None:
        """End the TLS of the box and answer the requests inside, also those to hosts that no rule names."""
        self._stream.put_back(await side.established())
        hello = await client_hello(self._stream)
        why_not = None
        if hello.server_name not in {None, endpoint.host}:
            why_not = f"the TLS inside the tunnel asks for {hello.server_name} instead of this host"
        tls = TlsStream(self._stream, self._authority.context(endpoint.host))
        await tls.handshake()
        try:
            await self._rounds(BoxSide(tls), endpoint, why_not)
        finally:
            await tls.close()

    async def _tunnel(
        self, side: BoxSide, endpoint: Endpoint, rule: EgressRule, judgement: Judgement
    ) -> None:
        refused = judgement.tunnel_refusal(endpoint)
        if refused is not None:
            raise await self._gate.deny(endpoint, TUNNEL, "", refused)
        await self._gate.audit("allowed", endpoint, TUNNEL, "", "tunnel rule")
        addresses = await addresses_of(endpoint, TUNNEL, self._gate, self._parts)
        reader, writer = await connect(endpoint, addresses, self._parts, tls=False)
        server = PlainStream(reader, writer, self._stream.activity)
        try:
            self._stream.put_back(await side.established())
            hello = await client_hello(self._stream)
            why_not = hello_refusal(hello, endpoint)
            if why_not is not None:
                raise await self._gate.deny(endpoint, TUNNEL, "", Refused(why_not, allowable=False))
            await self._gate.taint(judgement, endpoint.host)
            await relay(self._stream, server, rule.max_bytes, self._gate.meter())
        finally:
            await server.close()
