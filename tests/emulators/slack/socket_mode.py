"""Socket Mode: envelopes over a websocket, acknowledged by their id.

Source: https://docs.slack.dev/apis/events-api/using-socket-mode
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from tests.emulators.slack.deliveries import ACK_SECONDS, Envelope, NotAcknowledged, patience
from tests.emulators.slack.refusals import Json
from tests.emulators.slack.watch import Watch
from tests.emulators.slack.workspace import APP_ID, Workspace


@dataclass(eq=False, slots=True)
class _Connection:
    socket: web.WebSocketResponse
    request: web.Request
    waiting: dict[str, asyncio.Future[Json | None]] = field(default_factory=dict)


class SocketMode:
    """The sockets an app has open. Each envelope goes to one of them; with none open it waits for one."""

    def __init__(self, workspace: Workspace, watch: Watch, ack_seconds: float = ACK_SECONDS) -> None:
        self._workspace = workspace
        self._watch = watch
        self._ack_seconds = ack_seconds
        self._tickets: set[str] = set()
        self._connections: list[_Connection] = []
        self._opened = asyncio.Event()
        self._issued: set[str] = set()
        self.sent: list[Envelope] = []
        self.violations: list[str] = []

    @property
    def connections(self) -> int:
        """How many sockets are open."""
        return len(self._connections)

    def new_ticket(self) -> str:
        """A word that admits one socket."""
        ticket = self._workspace.new_id("ticket-")
        self._tickets.add(ticket)
        return ticket

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One socket, from hello to its end."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=401)
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connection = _Connection(socket, request)
        await socket.send_json(_hello(self.connections + 1))
        self._connections.append(connection)
        self._opened.set()
        self._watch.changed()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._acknowledge(connection, message.data)
        finally:
            self._forget(connection)
        return socket

    async def send(self, envelope: Envelope) -> Json | None:
        """Deliver one envelope; see `Transport.send`."""
        while not self._connections:
            self._opened.clear()
            await self._opened.wait()
        connection = self._connections[len(self.sent) % len(self._connections)]
        self.sent.append(envelope)
        envelope_id = self._workspace.new_id("envelope-")
        acknowledged: asyncio.Future[Json | None] = asyncio.get_running_loop().create_future()
        connection.waiting[envelope_id] = acknowledged
        self._issued.add(envelope_id)
        try:
            await connection.socket.send_json(_wire(envelope, envelope_id))
            return await asyncio.wait_for(acknowledged, patience(envelope, self._ack_seconds))
        except TimeoutError as error:
            raise NotAcknowledged("timeout") from error
        except ConnectionError as error:
            # It is on its way out: the next attempt is for another socket.
            self._forget(connection)
            raise NotAcknowledged("connection_closed") from error
        finally:
            connection.waiting.pop(envelope_id, None)

    async def ask_to_reconnect(self) -> None:
        """Tell every socket that it will be closed, as Slack does every few hours, and close it."""
        for connection in list(self._connections):
            await connection.socket.send_json(
                {"type": "disconnect", "reason": "refresh_requested", "debug_info": {"host": "emulator"}}
            )
            await connection.socket.close()

    def drop(self) -> None:
        """Break every socket without a word."""
        for connection in list(self._connections):
            self._forget(connection)
            if connection.request.transport is not None:
                connection.request.transport.abort()

    def _acknowledge(self, connection: _Connection, text: str) -> None:
        try:
            answer = json.loads(text)
        except ValueError:
            return  # the SDK's own ping text
        envelope_id = answer.get("envelope_id", "")
        waiting = connection.waiting.get(envelope_id)
        if envelope_id not in self._issued:
            self.violations.append(f"acknowledged an envelope that was never sent: {text[:200]}")
        elif waiting is not None and not waiting.done():
            waiting.set_result(answer.get("payload") or None)

    def _forget(self, connection: _Connection) -> None:
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        for waiting in connection.waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("the socket is gone"))
        self._watch.changed()


def _hello(connections: int) -> Json:
    return {
        "type": "hello",
        "num_connections": connections,
        "connection_info": {"app_id": APP_ID},
        "debug_info": {"host": "emulator", "build_number": 1, "approximate_connection_time": 3600},
    }


def _wire(envelope: Envelope, envelope_id: str) -> Json:
    wire: Json = {
        "envelope_id": envelope_id,
        "type": envelope.kind,
        "accepts_response_payload": envelope.kind != "events_api",
        "payload": envelope.payload,
    }
    if envelope.kind == "events_api":
        wire |= {"retry_attempt": envelope.attempt, "retry_reason": envelope.reason}
    return wire
