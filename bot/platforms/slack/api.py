"""Calls of Slack's Web API: paced, retried when Slack says when, and their errors told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.platforms.protocol import Busy, MessageGone, PlaceGone, PlatformError, Rejected, Unreachable
from bot.platforms.slack.needs import METHODS
from bot.platforms.slack.pacing import Pacing

Json = Mapping[str, Any]

_CALL_SECONDS = 20
_WRITES = (
    "agents.",
    "chat.appendStream",
    "chat.post",
    "chat.startStream",
    "chat.stopStream",
    "chat.unfurl",
    "chat.update",
    "reactions.",
    "views.",
)
_GONE = frozenset({"message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed"})
_NO_PLACE = frozenset(
    {
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "channel_is_archived",
        "account_inactive",
        "invalid_auth",
        "not_authed",
        "token_revoked",
        "token_expired",
        "missing_scope",
        "restricted_action",
        "user_not_in_channel",
        "user_not_found",
        "cannot_dm_bot",
    }
)
_NO_ANSWER = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
)


def web_client(token: str, api_url: str) -> AsyncWebClient:
    """A client that waits when Slack says so, and otherwise tells the truth about what happened.

    The library's own retry after a broken connection is left out: the message may have been sent.
    """
    return AsyncWebClient(
        token=token,
        base_url=api_url if api_url.endswith("/") else f"{api_url}/",
        timeout=_CALL_SECONDS,
        retry_handlers=[AsyncRateLimitErrorRetryHandler(max_retry_count=2)],
    )


class SlackApi:
    """The Web API of one workspace. `pacing` None: calls do not wait for their turn."""

    def __init__(self, client: AsyncWebClient, pacing: Pacing | None) -> None:
        self._client = client
        self._pacing = pacing

    async def call(self, method: str, **arguments: object) -> Json:
        """What Slack answers, in the call's turn. `method` must be declared among the app's needs.

        Raises: PlatformError, KeyError for a method that is not declared.
        """
        if method not in METHODS:
            raise KeyError(f"{method} is not declared in needs.py, so nobody grants its scopes")
        given = {name: value for name, value in arguments.items() if value is not None}
        if self._pacing is not None:
            await asyncio.sleep(self._pacing.wait_seconds(method, str(given.get("channel", ""))))
        try:
            response = await self._send(method, given)
        except SlackApiError as error:
            raise _told(method, error) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"Slack gave no answer to {method}: {error or type(error).__name__}") from error
        data = response.data
        return data if isinstance(data, dict) else {}

    async def quietly(self, method: str, unless: frozenset[str], **arguments: object) -> None:
        """Like `call`, but errors in `unless` mean that there was nothing to do. Raises: PlatformError."""
        try:
            await self.call(method, **arguments)
        except PlatformError as error:
            if code_of(error) not in unless:
                raise

    async def _send(self, method: str, given: dict[str, object]) -> AsyncSlackResponse:
        # Methods that read take their arguments in the address; not all of them understand JSON.
        if method.startswith(_WRITES):
            return await self._client.api_call(method, json=given)
        return await self._client.api_call(method, http_verb="GET", params=given)

    def is_free(self, method: str) -> bool:
        """Whether the method may be called without waiting for a turn."""
        return self._pacing is None or self._pacing.is_free(method)


def code_of(error: PlatformError) -> str:
    """Slack's word for what it refused, such as `unknown_method`."""
    return str(error).rpartition(": ")[2]


def _told(method: str, error: SlackApiError) -> PlatformError:
    response = error.response
    status = getattr(response, "status_code", 0)
    data = getattr(response, "data", None)
    code = str(data.get("error", "")) if isinstance(data, dict) else ""
    if status == 429 or code in ("ratelimited", "rate_limited"):
        headers = getattr(response, "headers", {}) or {}
        after = str(headers.get("Retry-After", headers.get("retry-after", "30")))
        return Busy(f"Slack asks to wait before {method}: {code}", float(after))
    message = f"Slack refused {method}: {code}"
    if status >= 500 or code in _NO_ANSWER or not code:
        return Unreachable(f"Slack failed at {method} with status {status}: {code}")
    if code in _GONE:
        return MessageGone(message)
    return PlaceGone(message) if code in _NO_PLACE else Rejected(message)
