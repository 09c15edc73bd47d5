"""The gateway: sessions over WebSockets that can be resumed, and events told as the intents allow.

Source: https://docs.discord.com/developers/events/gateway
"""

from __future__ import annotations

import asyncio
import json
import secrets
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from tests.emulators.discord.refusals import Json
from tests.emulators.discord.shapes import guild_create, user
from tests.emulators.discord.world import World

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID_SESSION, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11
HEARTBEAT_MS = 41_250
GUILDS, GUILD_MESSAGES, GUILD_REACTIONS, GUILD_TYPING = 1 << 0, 1 << 9, 1 << 10, 1 << 11
DIRECT_MESSAGES, DIRECT_REACTIONS, DIRECT_TYPING, MESSAGE_CONTENT = 1 << 12, 1 << 13, 1 << 14, 1 << 15
PRIVILEGED = (1 << 1) | (1 << 8) | MESSAGE_CONTENT
KNOWN_INTENTS = (1 << 25) - 1

NOT_AUTHENTICATED, AUTHENTICATION_FAILED, ALREADY_AUTHENTICATED = 4003, 4004, 4005
INVALID_SEQUENCE, INVALID_INTENTS, DISALLOWED_INTENTS = 4007, 4013, 4014


@dataclass(eq=False, slots=True)
class Session:
    """What one IDENTIFY began. `told` holds its dispatches by number, so that RESUME can repeat them."""

    id: str
    intents: int
    told: list[Json] = field(default_factory=list)
    socket: Connection | None = None
    heartbeats: int = 0


class Connection:
    """One open socket, its payloads compressed as one stream where the client asked for that."""

    def __init__(self, socket: web.WebSocketResponse, *, compress: bool) -> None:
        self.socket = socket
        self._stream = zlib.compressobj() if compress else None
        self._order = asyncio.Lock()

    async def send(self, payload: Json) -> None:
        """Send one payload; a socket that is gone takes nothing."""
        async with self._order:
            if self.socket.closed:
                return
            text = json.dumps(payload)
            if self._stream is None:
                await self.socket.send_str(text)
            else:
                packed = self._stream.compress(text.encode()) + self._stream.flush(zlib.Z_SYNC_FLUSH)
                await self.socket.send_bytes(packed)


class Gateway:
    """Takes connections at `/gateway`. `granted`: the privileged intents that the application was given."""

    def __init__(self, world: World, token: str, granted: int, flags: Callable[[], int]) -> None:
        self._world = world
        self._token = token
        self._flags = flags
        self.granted = granted
        self.url = ""
        self.sessions: dict[str, Session] = {}
        self.identified = 0
        self.resumed = 0
        self.refusing = False
        self.violations: list[str] = []
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def live(self) -> list[Session]:
        """Sessions with an open socket."""
        return [found for found in self.sessions.values() if found.socket is not None]

    def tell(self, event: str, intent: int, data: Callable[[Session], Json]) -> None:
        """Dispatch an event to every session that asked for it (`intent` 0: all), now or when it resumes."""
        for session in self.sessions.values():
            if not intent or session.intents & intent:
                self._dispatch(session, event, data(session))

    async def drop(self, *, invalidate: bool = False) -> None:
        """Break every connection; `invalidate`: sessions are forgotten too, so that none can be resumed."""
        if invalidate:
            broken, self.sessions = self.live, {}
        else:
            broken = self.live
        for session in broken:
            assert session.socket is not None
            socket, session.socket = session.socket, None
            await socket.socket.close(code=4000)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One connection."""
        if self.refusing:
            return web.Response(status=503)
        query = request.query
        if (query.get("v"), query.get("encoding")) != ("10", "json"):
            self.violations.append(f"gateway: version 10 and JSON are spoken here, not {dict(query)}")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connection = Connection(socket, compress=query.get("compress") == "zlib-stream")
        await connection.send({"op": HELLO, "d": {"heartbeat_interval": HEARTBEAT_MS}})
        session: Session | None = None
        async for frame in socket:
            if frame.type is not WSMsgType.TEXT:
                break
            session = await self._take(json.loads(frame.data), connection, session)
        if session is not None and session.socket is connection:
            session.socket = None
            self._world.watch.changed()
        return socket

    async def _take(self, payload: Json, connection: Connection, session: Session | None) -> Session | None:
        match payload["op"]:
            case 1:
                await connection.send({"op": ACK})
                if session is not None:
                    session.heartbeats += 1
            case 2 if session is None:
                return await self._identify(payload["d"], connection)
            case 6 if session is None:
                return await self._resume(payload["d"], connection)
            case 2 | 6:
                await connection.socket.close(code=ALREADY_AUTHENTICATED)
            case op if session is None:
                self.violations.append(f"gateway: op {op} before IDENTIFY")
                await connection.socket.close(code=NOT_AUTHENTICATED)
            case _:
                pass
        return session

    async def _identify(self, data: Json, connection: Connection) -> Session | None:
        intents = data.get("intents")
        if data.get("token") != self._token:
            await connection.socket.close(code=AUTHENTICATION_FAILED)
            return None
        if not isinstance(intents, int) or intents & ~KNOWN_INTENTS:
            self.violations.append(f"gateway: intents {intents}")
            await connection.socket.close(code=INVALID_INTENTS)
            return None
        if intents & PRIVILEGED & ~self.granted:
            await connection.socket.close(code=DISALLOWED_INTENTS)
            return None
        session = Session(secrets.token_hex(16), intents, socket=connection)
        self.sessions[session.id] = session
        self.identified += 1
        world = self._world
        ready = {
            "v": 10,
            "user": user(world.bot),
            "guilds": [{"id": str(world.guild_id), "unavailable": True}],
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "application": {"id": str(world.application_id), "flags": self._flags()},
            "private_channels": [],
        }
        self._dispatch(session, "READY", ready)
        if intents & GUILDS and world.bot.member:
            self._dispatch(session, "GUILD_CREATE", guild_create(world))
        world.watch.changed()
        return session

    async def _resume(self, data: Json, connection: Connection) -> Session | None:
        session = self.sessions.get(str(data.get("session_id")))
        if data.get("token") != self._token or session is None:
            await connection.send({"op": INVALID_SESSION, "d": False})
            return None
        told = int(data.get("seq") or 0)
        if told > len(session.told):
            await connection.socket.close(code=INVALID_SEQUENCE)
            return None
        while told < len(session.told):
            await connection.send(session.told[told])
            told += 1
        session.socket = connection
        self.resumed += 1
        self._dispatch(session, "RESUMED", {})
        self._world.watch.changed()
        return session

    def _dispatch(self, session: Session, event: str, data: Json) -> None:
        payload: Json = {"op": DISPATCH, "t": event, "s": len(session.told) + 1, "d": data}
        session.told.append(payload)
        if session.socket is not None:
            task = asyncio.get_running_loop().create_task(session.socket.send(payload))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
