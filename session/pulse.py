"""The doorbell: Redis pub/sub that tells other processes that a session's log grew.

Nothing depends on a ring being heard: whoever waits looks at the database again after a while.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

_log = structlog.get_logger(__name__)
_RINGS = "bellhop:rings"
_TOKENS = "bellhop:tokens"
_SEND_SECONDS = 5.0
_RETRY_SECONDS = 0.5
_MAX_UNSENT_TOKENS = 1_000
"""Words in flight kept while Redis is slow; older ones are dropped, since the finished message follows."""


@dataclass(frozen=True, slots=True)
class TokenDelta:
    """Words of a model's reply in flight; shown while they come, never kept."""

    turn_id: str
    text: str


class Watch:
    """Somebody's wait for rings."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Let the one who waits go on."""
        self._rung.set()

    async def wait(self, timeout_seconds: float) -> bool:
        """True once something rang since the last wait, False after `timeout_seconds`."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True


class Pulse:
    """The doorbell of one process; use it as `async with Pulse(redis_url) as pulse`.

    redis_url: None rings inside this process alone.
    """

    def __init__(self, redis_url: str | None) -> None:
        self._url = redis_url
        self._process = secrets.token_hex(8)
        self._watches: defaultdict[str | None, set[Watch]] = defaultdict(set)
        self._listeners: defaultdict[str, set[asyncio.Queue[TokenDelta]]] = defaultdict(set)
        self._unsent_rings: set[str] = set()
        self._unsent_tokens: deque[str] = deque(maxlen=_MAX_UNSENT_TOKENS)
        self._to_send = asyncio.Event()
        self._connected = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        if self._url is not None:
            self._tasks = [
                asyncio.create_task(self._send(self._url)),
                asyncio.create_task(self._hear(self._url)),
            ]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._connected = False

    @property
    def connected(self) -> bool:
        """Whether rings of other processes are heard at the moment."""
        return self._connected

    async def ring(self, session_id: str) -> None:
        """Tell every process that the session's log grew. Never waits for Redis, dead or alive."""
        self._rung(session_id)
        if self._url is not None:
            self._unsent_rings.add(session_id)
            self._to_send.set()

    @contextmanager
    def watch(self, session_id: str | None = None) -> Iterator[Watch]:
        """A wait for rings of that session, or of any."""
        watch = Watch()
        self._watches[session_id].add(watch)
        try:
            yield watch
        finally:
            self._watches[session_id].discard(watch)
            if not self._watches[session_id]:
                del self._watches[session_id]

    async def publish_tokens(self, session_id: str, turn_id: str, text: str) -> None:
        """Show words in flight to whoever looks. Lost when nobody does. Never raises for a dead Redis."""
        self._flowed(session_id, TokenDelta(turn_id, text))
        if self._url is not None:
            self._unsent_tokens.append(json.dumps([self._process, session_id, turn_id, text]))
            self._to_send.set()

    async def tokens(self, session_id: str) -> AsyncGenerator[TokenDelta, None]:
        """Words in flight from now on; never ends."""
        queue: asyncio.Queue[TokenDelta] = asyncio.Queue(maxsize=_MAX_UNSENT_TOKENS)
        self._listeners[session_id].add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners[session_id].discard(queue)
            if not self._listeners[session_id]:
                del self._listeners[session_id]

    def _rung(self, session_id: str) -> None:
        for key in (session_id, None):
            for watch in self._watches.get(key, ()):
                watch.ring()

    def _rung_all(self) -> None:
        for watches in list(self._watches.values()):
            for watch in watches:
                watch.ring()

    def _flowed(self, session_id: str, delta: TokenDelta) -> None:
        for queue in self._listeners.get(session_id, ()):
            if not queue.full():
                queue.put_nowait(delta)

    async def _send(self, url: str) -> None:
        # No timeout of the client's own: with one, Python 3.11 may take a cancelled write for a finished one.
        async with Redis.from_url(url, socket_connect_timeout=2) as redis:
            while True:
                await self._to_send.wait()
                self._to_send.clear()
                pipeline = redis.pipeline(transaction=False)
                for session_id in self._unsent_rings:
                    pipeline.publish(_RINGS, f"{self._process} {session_id}")
                while self._unsent_tokens:
                    pipeline.publish(_TOKENS, self._unsent_tokens.popleft())
                self._unsent_rings.clear()
                try:
                    async with asyncio.timeout(_SEND_SECONDS):
                        await pipeline.execute()
                except (RedisError, OSError) as error:
                    _log.debug("ring_not_sent", error=str(error))
                    await asyncio.sleep(_RETRY_SECONDS)

    async def _hear(self, url: str) -> None:
        while True:
            try:
                async with Redis.from_url(url, socket_connect_timeout=2) as redis, redis.pubsub() as channel:
                    await channel.subscribe(_RINGS, _TOKENS)
                    await self._hear_all(channel.listen())
            except (RedisError, OSError) as error:
                if self._connected:
                    _log.warning("doorbell_lost", error=str(error), means="followers poll once a second")
            self._connected = False
            # Whoever waits for a ring looks now, and from here on without one.
            self._rung_all()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _hear_all(self, messages: AsyncIterator[dict[str, object]]) -> None:
        async for message in messages:
            if message["type"] == "subscribe":
                # Rings sent while nobody listened are lost: let everybody look once.
                self._connected = True
                self._rung_all()
                continue
            data = message["data"]
            text = data.decode() if isinstance(data, bytes) else str(data)
            if message["channel"] == _RINGS.encode():
                process, _, session_id = text.partition(" ")
                if process != self._process:
                    self._rung(session_id)
            else:
                process, session_id, turn_id, words = json.loads(text)
                if process != self._process:
                    self._flowed(session_id, TokenDelta(turn_id, words))
