"""The end of a connection: what was written still arrives, and closing is no error."""

from __future__ import annotations

import asyncio
import socket

from sandbox.broker.door.streams import ASKED_CLOSE_SECONDS, Activity, PlainStream

MORE_THAN_A_SOCKET_HOLDS = 450_000


async def test_a_slow_reader_gets_everything_and_the_connection_ends_in_peace() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    stream = PlainStream(reader, writer, Activity(60), ASKED_CLOSE_SECONDS)
    await stream.write(b"x" * MORE_THAN_A_SOCKET_HOLDS)
    assert writer.transport.get_write_buffer_size() > 0, "some of it waits in this program"
    slow, slow_writer = await asyncio.open_connection(sock=theirs)
    closing = asyncio.create_task(stream.close())
    try:
        assert len(await slow.read()) == MORE_THAN_A_SOCKET_HOLDS
        await closing
        # Whoever made the connection closes it too.
        await stream.close()
    finally:
        slow_writer.close()
        await slow_writer.wait_closed()
