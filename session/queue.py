"""The job queue: the only client of arq. A job is a doorbell; what is to be done stands in the log."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, Self

import structlog
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix
from arq.cron import CronJob, cron
from arq.typing import WorkerCoroutine
from arq.worker import Worker, func
from redis.asyncio import ConnectionPool
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError

JobName = Literal[
    "read_words",
    "route_session",
    "run_turn",
    "run_turn_here",
    "merge_pull_request",
    "build_image",
    "warm_box",
]
Enqueued = Literal["new", "known", "unreachable"]
JobStatus = Literal["queued", "running", "absent", "unreachable"]
Handler = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Regular:
    """Something that is done every so many minutes, by one of all workers, and when a worker starts."""

    name: str
    minutes: int
    handler: Callable[[], Awaitable[None]]


_log = structlog.get_logger(__name__)
_QUEUE = "bellhop:jobs"
_ANSWER_SECONDS = 2.0
"""A Redis that takes longer is treated as away: nobody's command waits for it."""

_FINISH_SECONDS = 5.0
"""So long a worker that ends waits until Redis has taken note of the jobs that were done."""

_CONNECT_SECONDS = 1
_POLL_SECONDS = 0.02
_CRON_KEPT_SECONDS = 60
_KEPT_SECONDS: Mapping[JobName, int] = {"warm_box": 30}
"""So long a job that was done is still known: whoever types rings once."""

_TO = "@"

ADDRESSED_SECONDS = 2.0
"""So long a turn waits for the worker that has its box, should that be busy or have just died."""


class Queue:
    """Puts jobs in line for the workers; use it as `async with Queue(redis_url) as queue`."""

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        self._redis: ArqRedis | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._redis is not None:
            await self._redis.aclose(close_connection_pool=True)

    async def enqueue(self, job: JobName, session_id: str, number: int) -> Enqueued:
        """ "new": it is in line now. "known": it was. "unreachable": Redis is away; the reconciler brings it.

        session_id: what the job is about; for `build_image` and `warm_box` a repository's slug.
        number: makes the job's id `job:session:number`; the next lease epoch for `run_turn`, a seq otherwise.
        """
        return await self._put(job, session_id, job_id(job, session_id, number))

    async def _put(self, job: JobName, session_id: str, name: str) -> Enqueued:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                redis = self._connection()
                made = await redis.enqueue_job(job, session_id, _job_id=name)
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("queue_unreachable", job=job, session_id=session_id, error=str(error))
            return "unreachable"
        return "known" if made is None else "new"

    async def hand_on(self, session_id: str, number: int, place: str) -> Enqueued:
        """Put a turn in line for the worker at that place; for `ADDRESSED_SECONDS` no other takes it, and
        after that any does."""
        until_ms = int((time.time() + ADDRESSED_SECONDS) * 1000)
        name = f"{job_id('run_turn_here', session_id, number)}{_TO}{_address(place)}:{until_ms}"
        return await self._put("run_turn_here", session_id, name)

    async def status(self, job: JobName, session_id: str, number: int) -> JobStatus:
        """Where that job is. "running" also stands for one whose worker died, until it times out."""
        name = job_id(job, session_id, number)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                redis = self._connection()
                running, queued = await asyncio.gather(
                    redis.exists(in_progress_key_prefix + name), redis.exists(job_key_prefix + name)
                )
        except (RedisError, OSError, TimeoutError):
            return "unreachable"
        return "running" if running else "queued" if queued else "absent"

    async def depth(self) -> int | None:
        """How many jobs wait or run; None when Redis does not answer."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                redis = self._connection()
                return int(await redis.zcard(_QUEUE))
        except (RedisError, OSError, TimeoutError):
            return None

    async def check(self) -> str | None:
        """None when Redis answers, otherwise what is wrong, in words."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._connection().ping()
        except (RedisError, OSError, TimeoutError) as error:
            return f"Redis does not answer ({error or type(error).__name__}): jobs start late"
        return None

    def _connection(self) -> ArqRedis:
        if self._redis is None:
            self._redis = connect(self._url)
        return self._redis


class _Pipeline(Pipeline):
    """Gives its connection back however it ends.

    redis-py's own keeps it when it is cut short while it gives it back, and waits for a server that has gone
    silent for as long as it is silent.
    """

    async def reset(self) -> None:
        give_back: Callable[[], Awaitable[None]] = super().reset
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await give_back()
        except BaseException:
            connection, self.connection = self.connection, None
            if connection is not None:
                await connection.disconnect(nowait=True)
                with suppress(KeyError):  # it was given back already
                    await self.connection_pool.release(connection)
            raise


class _Redis(ArqRedis):
    """arq's client, with pipelines that lose no connection."""

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> _Pipeline:
        return _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class JobWorker(Worker):
    """arq's worker, whose `close` waits for its jobs and leaves no connection open, and which leaves jobs to
    the workers that they are handed on to. `place` is where it is, empty for nowhere in particular.

    arq's own asks Redis something first, and leaves the connections open when it does not answer. Jobs that
    have just ended it takes out of line in tasks of their own, which it does not wait for. A job also stays
    in line until it ends, and arq asks Redis about each of them at every look, also about those that it runs
    itself. This worker does not.
    """

    def __init__(self, *arguments: Any, place: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.place = place
        self._finishing: set[asyncio.Task[Any]] = set()

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Start those of the jobs that nobody runs yet and that are for this worker."""
        names = [name.decode() for name in job_ids]
        free = [name for name in names if name not in self.tasks and _is_for(name, self.place)]
        await super().start_jobs([name.encode() for name in free])

    async def finish_job(self, *args: Any, **kwargs: Any) -> None:
        """As arq's own; `close` waits for it."""
        with self._seen_out():
            await super().finish_job(*args, **kwargs)

    async def finish_failed_job(self, *args: Any, **kwargs: Any) -> None:
        """As arq's own; `close` waits for it."""
        with self._seen_out():
            await super().finish_failed_job(*args, **kwargs)

    async def close(self) -> None:
        """End the jobs that run, then the connection, whether Redis answers or not."""
        await _ended(task for task in (self.main_task, *self.tasks.values()) if task is not None)
        if finishing := [*self._finishing]:
            await asyncio.wait(finishing, timeout=_FINISH_SECONDS)
            await _ended(finishing)
        if self._pool is not None:
            await self._pool.aclose(close_connection_pool=True)
            self._pool = None

    @contextmanager
    def _seen_out(self) -> Iterator[None]:
        # arq shields it from the job's own end, so it is a task by itself.
        task = asyncio.current_task()
        assert task is not None
        self._finishing.add(task)
        try:
            yield
        finally:
            self._finishing.discard(task)


async def _ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancelled, and waited for; what they raise is heard by nobody."""
    ending = [*tasks]
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


def worker(
    redis_url: str,
    handlers: Mapping[JobName, Handler],
    *,
    concurrency: int,
    job_timeout_seconds: float,
    regular: Sequence[Regular] = (),
    place: str = "",
) -> JobWorker:
    """The arq worker that runs the jobs `Queue` enqueues, by their names; `await worker.async_run()`.

    handlers: called with the session's id. A handler is never run twice for one job: whatever is left undone
    is re-driven by the reconciler, which looks at the log. Losing Redis ends `async_run` with an error; the
    caller starts a new worker. place: jobs that are handed on to it are taken, those that are handed on to
    others are left to them for a while.
    """
    functions = [
        func(
            _job(handler),
            name=name,
            max_tries=1,
            keep_result=_KEPT_SECONDS.get(name, 0),
            timeout=job_timeout_seconds,
        )
        for name, handler in handlers.items()
    ]
    return JobWorker(
        functions,
        place=place,
        cron_jobs=[_cron(each, job_timeout_seconds) for each in regular],
        queue_name=_QUEUE,
        redis_pool=connect(redis_url),
        handle_signals=False,
        max_jobs=concurrency,
        job_timeout=job_timeout_seconds,
        keep_result=0,
        max_tries=1,
        retry_jobs=False,
        poll_delay=_POLL_SECONDS,
        job_serializer=serialize,
        job_deserializer=deserialize,
        log_results=False,
    )


def _is_for(name: str, place: str) -> bool:
    """Whether a worker at that place may start the job of that id now."""
    _, addressed, to = name.partition(_TO)
    if not addressed:
        return True
    address, _, until_ms = to.partition(":")
    return address == _address(place) or time.time() * 1000 >= int(until_ms)


def _address(place: str) -> str:
    return hashlib.sha256(place.encode()).hexdigest()[:16]


def _cron(regular: Regular, timeout_seconds: float) -> CronJob:
    async def run(ctx: dict[Any, Any]) -> None:
        await regular.handler()

    return cron(
        run,
        name=regular.name,
        minute=set(range(0, 60, regular.minutes)),
        run_at_startup=True,
        timeout=timeout_seconds,
        # So long the others are told that it was done: their clocks may be a little behind.
        keep_result=_CRON_KEPT_SECONDS,
        max_tries=1,
    )


def job_id(job: JobName, session_id: str, number: int) -> str:
    """The id under which a job is in line once."""
    return f"{job}:{session_id}:{number}"


def connect(url: str) -> ArqRedis:
    """arq's client at that address. Nothing is sent yet, and it does not try again: those who call it do."""
    pool = ConnectionPool.from_url(url, socket_connect_timeout=_CONNECT_SECONDS)
    return _Redis(pool, job_serializer=serialize, job_deserializer=deserialize, default_queue_name=_QUEUE)


def serialize(job: dict[str, Any]) -> bytes:
    """A job as JSON: with pickle, whoever can write to Redis could run code here."""
    return json.dumps(job, default=str).encode()


def deserialize(body: bytes) -> dict[str, Any]:
    """The job that `serialize` wrote."""
    job: dict[str, Any] = json.loads(body)
    return job


def _job(handler: Handler) -> WorkerCoroutine:
    async def run(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> None:
        await handler(str(args[0]))

    return run
