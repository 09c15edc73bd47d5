"""A worker process: takes jobs from the queue, keeps the reconciler and the reaper running beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sandbox.disk_watch import DiskWatch
from sandbox.images.jobs import ImageJobs
from sandbox.jobs import Jobs
from sandbox.reaper import Reaper
from sandbox.sharing import Sharing
from sandbox.sign_of_life import SignOfLife
from sandbox.snapshots import SnapshotKeeper
from sandbox.warm_pool.pool import WarmPool
from session.queue import JobWorker, Regular
from session.queue import worker as queue_worker
from session.reconciler import Reconciler

log = structlog.get_logger()

RESTART_SECONDS = 1.0
PING_SECONDS = 2.0
JOB_MARGIN_SECONDS = 120.0
"""The queue's own limit lies this far above a turn's, so that the turn's ends it first, with a sentence."""


class WorkerProcess:
    """Runs jobs until it is cancelled.

    `route_session` and `read_words` are called with a session's id; `concurrency` is how many jobs run at
    once. Losing Redis does not end it: jobs are taken up again when Redis is back, and what was rung for
    meanwhile the reconciler finds. `image_interval_minutes`: between two looks at the images of
    repositories; 0: none.
    """

    def __init__(
        self,
        *,
        redis_url: str,
        jobs: Jobs,
        route_session: Callable[[str], Awaitable[None]],
        read_words: Callable[[str], Awaitable[None]],
        reconciler: Reconciler,
        reaper: Reaper,
        snapshots: SnapshotKeeper,
        sharing: Sharing,
        sign: SignOfLife,
        disk: DiskWatch,
        pool: WarmPool,
        images: ImageJobs,
        image_interval_minutes: int,
        concurrency: int,
        turn_limit_seconds: float,
    ) -> None:
        self._redis_url = redis_url
        self._jobs = jobs
        self._route_session = route_session
        self._read_words = read_words
        self._reconciler = reconciler
        self._reaper = reaper
        self._snapshots = snapshots
        self._sharing = sharing
        self._sign = sign
        self._disk = disk
        self._pool = pool
        self._images = images
        self._image_interval_minutes = image_interval_minutes
        self._concurrency = concurrency
        self._job_seconds = turn_limit_seconds + JOB_MARGIN_SECONDS

    async def run(self) -> None:
        """Work until cancelled; jobs that run then are cancelled, and another worker takes them up."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reconciler.run(), name="reconciler")
            tasks.create_task(self._reaper.run(), name="reaper")
            tasks.create_task(self._snapshots.run(), name="snapshots")
            tasks.create_task(self._sharing.run(), name="sharing")
            tasks.create_task(self._sign.run(), name="sign of life")
            tasks.create_task(self._disk.run(), name="disk watch")
            tasks.create_task(self._pool.run(), name="warm pool")
            tasks.create_task(self._supervise(tasks), name="worker")

    async def _supervise(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            worker = self._worker(await self._sign.place())
            try:
                await _ping(self._redis_url)
                await worker.async_run()
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("queue lost", error=str(error) or type(error).__name__)
                tasks.create_task(_see_out(worker), name="jobs of a worker that lost the queue")
            except asyncio.CancelledError:
                await worker.close()
                raise
            await asyncio.sleep(RESTART_SECONDS)

    def _worker(self, place: str) -> JobWorker:
        return queue_worker(
            self._redis_url,
            {
                "read_words": self._read_words,
                "route_session": self._route_session,
                "run_turn": self._jobs.run_turn,
                "run_turn_here": self._jobs.run_turn_here,
                "merge_pull_request": self._jobs.merge_pull_request,
                "build_image": self._images.build_image,
                "warm_box": self._pool.warm_box,
            },
            regular=self._regular(),
            concurrency=self._concurrency,
            job_timeout_seconds=self._job_seconds,
            place=place,
        )

    def _regular(self) -> list[Regular]:
        minutes = self._image_interval_minutes
        return [Regular("look_at_images", minutes, self._images.look_at_images)] if minutes else []


async def _ping(redis_url: str) -> None:
    """Return if Redis answers; arq leaves its connection open where Redis goes away while it connects.

    Raises: RedisError, OSError, TimeoutError.
    """
    async with Redis.from_url(redis_url, socket_connect_timeout=1) as redis, asyncio.timeout(PING_SECONDS):
        await redis.ping()


async def _see_out(worker: JobWorker) -> None:
    """The jobs that ran when Redis was lost go on to their end: they need the record, not the queue."""
    try:
        await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
    finally:
        await worker.close()
