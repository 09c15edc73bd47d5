"""Bytes relayed unread, for servers whose rule says so."""

from __future__ import annotations

import asyncio

from sandbox.broker.door.client_hello import ClientHello, NotTls, parse
from sandbox.broker.door.gate import Meter
from sandbox.broker.door.streams import Gone, PlainStream
from sandbox.broker.door.targets import Endpoint


async def client_hello(stream: PlainStream) -> ClientHello:
    """The ClientHello that the stream begins with; it stays in the stream. Raises: NotTls, Gone."""
    seen = b""
    while (hello := parse(seen)) is None:
        data = await stream.read()
        if not data:
            raise Gone
        seen += data
    stream.put_back(seen)
    return hello


def hello_refusal(hello: ClientHello, endpoint: Endpoint) -> str | None:
    """Why bytes to that server may not pass unread after this beginning."""
    if hello.server_name != endpoint.host:
        return f"the TLS inside the tunnel asks for {hello.server_name or 'no name'} instead of this host"
    return "the TLS inside the tunnel hides the name it asks for" if hello.encrypted else None


async def relay(box: PlainStream, server: PlainStream, max_bytes: int, meter: Meter) -> None:
    """Return when both sides are done, or one is gone, or more than `max_bytes` came back.

    Raises: EgressSpent, Halted, DatabaseDown.
    """

    async def copy(source: PlainStream, sink: PlainStream, most: float) -> None:
        while data := await source.read():
            most -= len(data)
            if most < 0:
                raise Gone
            await meter.add(len(data))
            await sink.write(data)
        await sink.write_eof()

    copies = {
        asyncio.create_task(copy(box, server, float("inf"))),
        asyncio.create_task(copy(server, box, max_bytes)),
    }
    try:
        done, _ = await asyncio.wait(copies, return_when=asyncio.FIRST_EXCEPTION)
        for each in done:
            each.result()
    except Gone:
        return
    finally:
        for each in copies:
            each.cancel()
        await asyncio.gather(*copies, return_exceptions=True)
        await meter.settle()


__all__ = ["NotTls", "client_hello", "hello_refusal", "relay"]
