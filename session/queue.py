"""The job queue: the only client of arq. A job is a doorbell; what is to be done stands in the log."""

from __future__ import annotations

from typing import Literal

JobName = Literal["route_session", "run_turn", "merge_pull_request"]
Enqueued = Literal["new", "known", "unreachable"]


class Queue:
    """Puts jobs in line for the workers; use it as `async with Queue(redis_url) as queue`."""

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url

    async def enqueue(self, job: JobName, session_id: str, number: int) -> Enqueued:
        """ "new": it is in line now. "known": it was. "unreachable": Redis is away; the reconciler brings it.

        number: makes the job's id `job:session:number`; the next lease epoch for `run_turn`, a seq otherwise.
        """
        raise NotImplementedError

    async def depth(self) -> int | None:
        """How many jobs wait; None when Redis does not answer."""
        raise NotImplementedError

    async def check(self) -> str | None:
        """None when Redis answers, otherwise what is wrong, in words."""
        raise NotImplementedError
