"""The socket: many requests at once on each connection, answered in the order they end."""

from __future__ import annotations

import asyncio
import os
import traceback

from .frames import MAX_FRAME_BYTES, BadFrame, frame_of, read_frame
from .operations import Operations
from .refusal import Failed, Refused

# A listener that does not read must not make the runner hoard output for it.
MOST_WAITING_BYTES = 4 * 1024 * 1024


class Connection:
    """One caller."""

    def __init__(
        self, operations: Operations, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._operations = operations
        self._reader = reader
        self._writer = writer
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Answers until the caller goes; calls that it began go on without it."""
        try:
            while True:
                frame = await read_frame(self._reader)
                if frame is None:
                    break
                task = asyncio.get_event_loop().create_task(self._answer(frame))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except BadFrame as error:
            self._send({"id": 0, "error": {"kind": "refused", "message": str(error)}})
        finally:
            for task in self._tasks:
                task.cancel()
            self._writer.close()

    async def _answer(self, frame: dict[str, object]) -> None:
        request_id, args = frame.get("id"), frame.get("args")
        arguments: dict[str, object] = args if isinstance(args, dict) else {}

        def show(text: str) -> None:
            if self._writer.transport.get_write_buffer_size() < MOST_WAITING_BYTES:
                self._send({"id": request_id, "output": text})

        try:
            listener = show if arguments.get("stream") is True else None
            result = await self._operations.perform(str(frame.get("op")), arguments, listener)
            self._send({"id": request_id, "result": result})
        except Refused as error:
            self._send({"id": request_id, "error": {"kind": "refused", "message": str(error)}})
        except (Failed, OSError) as error:
            self._send({"id": request_id, "error": {"kind": "failed", "message": str(error)}})
        except Exception as error:  # noqa: BLE001 - the edge of the program: the caller must get an answer
            message = f"the runner has a defect: {type(error).__name__}: {error}"
            self._send({"id": request_id, "error": {"kind": "failed", "message": message}})
            traceback.print_exc()

    def _send(self, content: dict[str, object]) -> None:
        if self._writer.transport.is_closing():
            return
        data = frame_of(content)
        if len(data) > MAX_FRAME_BYTES:
            message = f"the answer of {len(data)} bytes is too long: ask for less"
            data = frame_of({"id": content["id"], "error": {"kind": "failed", "message": message}})
        self._writer.write(data)


async def serve(socket_path: str, operations: Operations) -> None:
    """Listens on `socket_path` for ever. The directory around it says who may come, not the socket's mode."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(operations, reader, writer).serve()

    if os.path.lexists(socket_path):
        os.unlink(socket_path)
    server = await asyncio.start_unix_server(connected, socket_path)
    os.chmod(socket_path, 0o666)
    async with server:
        await server.serve_forever()
