"""`/healthz`: which parts answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

HealthCheck = Callable[[], Awaitable[Mapping[str, str | None]]]
"""Gives every part (`database`, `redis`, `engine`) by name: None when it answers, else what is wrong in
words fit for anybody to read."""


class Health:
    """The health page. Without the database nothing can be accepted (503); other parts only degrade."""

    def __init__(self, check: HealthCheck) -> None:
        self._check = check

    async def show(self, request: Request) -> Response:
        """Status `ok`, `degraded` or `down`, and each part."""
        parts = await self._check()
        down = parts.get("database") is not None
        degraded = any(parts.values())
        content = {
            "status": "down" if down else "degraded" if degraded else "ok",
            "parts": {name: {"ok": wrong is None, "detail": wrong or ""} for name, wrong in parts.items()},
        }
        return JSONResponse(content, 503 if down else 200)
