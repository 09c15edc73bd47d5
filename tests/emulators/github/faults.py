"""Faults on order: what GitHub does on its bad days, at the request a test names."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

When = Literal["before", "after"]


@dataclass
class Fault:
    """An answer given in place of the real one. `when="after"`: the request is carried out all the same.

    `status` 0 cuts the connection. `times` is how many requests it still hits.
    """

    status: int
    method: str
    path: str
    when: When = "before"
    message: str = "Server Error"
    retry_after: int | None = None
    times: int = 1

    def fits(self, method: str, path: str) -> bool:
        return self.times > 0 and method == self.method and fnmatchcase(path, self.path)

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class Faults:
    """The faults still to come. Paths are shell patterns over what follows the host (`/api/v3` left out)."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def server_error(
        self, method: str, path: str, *, when: When = "before", status: int = 502, times: int = 1
    ) -> Fault:
        """A 5xx, before or after the request takes effect."""
        return self._add(Fault(status, method, path, when, times=times))

    def cut(self, method: str, path: str, *, when: When = "before", times: int = 1) -> Fault:
        """The connection is closed without an answer."""
        return self._add(Fault(0, method, path, when, times=times))

    def refuse(self, method: str, path: str, status: int, message: str) -> Fault:
        """A plain no, such as 401 or 422."""
        return self._add(Fault(status, method, path, message=message))

    def slow_down(self, method: str, path: str, retry_after: int, *, times: int = 1) -> Fault:
        """429 with Retry-After."""
        return self._add(
            Fault(429, method, path, message="API rate limit exceeded", retry_after=retry_after, times=times)
        )

    def secondary_limit(self, method: str, path: str, retry_after: int, *, times: int = 1) -> Fault:
        """403 as GitHub's secondary rate limit says it."""
        message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        return self._add(Fault(403, method, path, message=message, retry_after=retry_after, times=times))

    def take(self, method: str, path: str, when: When) -> Fault | None:
        """The fault that hits this request at this point, if any."""
        for fault in self._waiting:
            if fault.when == when and fault.fits(method, path):
                fault.times -= 1
                return fault
        return None

    @property
    def unused(self) -> list[Fault]:
        """Faults ordered that no request has met."""
        return [fault for fault in self._waiting if fault.times > 0]

    def _add(self, fault: Fault) -> Fault:
        self._waiting.append(fault)
        return fault
