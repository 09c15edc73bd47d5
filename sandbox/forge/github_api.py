"""One request to GitHub's REST API: bounded retries, and GitHub's refusals in the words of our error tree."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from githubkit import AppAuthStrategy, GitHub
from githubkit.cache import MemCacheStrategy
from githubkit.exception import GitHubException, RateLimitExceeded, RequestError, RequestFailed
from pydantic import BaseModel

from sandbox.certificates import bundled_authorities
from sandbox.forge.protocol import ForgeRefused, ForgeUnavailable

REQUEST_TIMEOUT_SECONDS = 30.0
USER_AGENT = "bellhop"
ADVICE = {
    401: "The credential is not accepted; link the account again, or check the App's key.",
    403: "It is not allowed; check the App's permissions and the person's access.",
    404: "It is not there, or not visible; check the slug and where the App is installed.",
}


class Answer(Protocol):
    """What githubkit gives back; read as JSON only, into the narrow models of this package."""

    def json(self) -> Any: ...


T = TypeVar("T", bound=BaseModel)
# githubkit is generic over its authentication, which makes no difference to a request.
Request = Callable[[GitHub[Any]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is made, the first wait between two (doubling), and the longest wait."""

    attempts: int = 4
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 30.0

    def wait(self, attempt: int, asked_seconds: float | None) -> float | None:
        """Seconds to wait after the failed attempt (from 1); None when it was the last or asks too much."""
        if attempt >= self.attempts or (asked_seconds or 0) > self.longest_wait_seconds:
            return None
        if asked_seconds is not None:
            return asked_seconds
        doubled = self.first_wait_seconds * 2 ** (attempt - 1)
        return float(min(doubled, self.longest_wait_seconds) * random.uniform(0.75, 1.0))


class GitHubApi:
    """Clients for one GitHub, and the way requests are made with them."""

    def __init__(self, api_url: str, patience: Patience) -> None:
        self._api_url = api_url
        self._patience = patience

    def client(self, auth: str | AppAuthStrategy | None) -> GitHub[Any]:
        """A client that shows itself with a token, as an App, or not at all (None)."""
        client: GitHub[Any] = GitHub(
            auth,
            base_url=self._api_url,
            user_agent=USER_AGENT,
            timeout=REQUEST_TIMEOUT_SECONDS,
            ssl_verify=bundled_authorities(),
            follow_redirects=False,
            http_cache=False,
            cache_strategy=MemCacheStrategy(),
            auto_retry=False,
        )
        return client

    async def ask(
        self,
        doing: str,
        client: GitHub[Any],
        request: Request,
        model: type[T],
        *,
        settled: Callable[[], Awaitable[T | None]] | None = None,
    ) -> T:
        """The answer, as `model`. `doing` says what is tried, for errors ("Reading acme/billing").

        `settled` is for requests that change something: after a lost answer it reads whether the change was
        made, before the request is made again.

        Raises: `ForgeRefused` with GitHub's reason, `ForgeUnavailable` when patience is at its end.
        """
        attempt = 1
        while True:
            try:
                answer = await request(client)
                return model.model_validate(answer.json())
            except ValueError as error:
                # Neither shown nor chained: the answer may hold a token.
                raise ForgeUnavailable(
                    f"{doing}: GitHub's answer cannot be read ({type(error).__name__}). Try again later."
                ) from None
            except GitHubException as failure:
                wait = self._patience.wait(attempt, _retry_after(doing, failure))
                if settled and not isinstance(failure, RateLimitExceeded) and (done := await settled()):
                    return done
                if wait is None:
                    raise _unavailable(doing, failure) from failure
            await asyncio.sleep(wait)
            attempt += 1


def _retry_after(doing: str, failure: GitHubException) -> float | None:
    """Seconds GitHub asks us to wait, None if it does not say. Raises `ForgeRefused` on a plain no."""
    if isinstance(failure, RateLimitExceeded):
        return max(failure.retry_after.total_seconds(), 0.0)
    if not isinstance(failure, RequestFailed):
        return None
    status = failure.response.status_code
    if status < 500:
        raise _refused(doing, failure) from failure
    asked = failure.response.headers.get("retry-after", "")
    return float(asked) if asked.isdigit() else None


def _refused(doing: str, failure: RequestFailed) -> ForgeRefused:
    status = failure.response.status_code
    advice = ADVICE.get(status, "Change what it names and try again.")
    return ForgeRefused(f"{doing} was refused by GitHub ({status}: {_reason(failure)}). {advice}", status)


class _FieldError(BaseModel):
    message: str | None = None
    code: str | None = None
    field: str | None = None


class _Refusal(BaseModel):
    message: str = ""
    errors: list[_FieldError | str] = []


def _reason(failure: RequestFailed) -> str:
    refusal = _Refusal()
    with suppress(ValueError):
        refusal = _Refusal.model_validate_json(failure.response.content)
    details = [
        error if isinstance(error, str) else error.message or f"{error.field or '?'} is {error.code or '?'}"
        for error in refusal.errors
    ]
    return "; ".join([refusal.message or "no reason given", *details])


def _unavailable(doing: str, failure: GitHubException) -> ForgeUnavailable:
    if isinstance(failure, RateLimitExceeded):
        seconds = max(failure.retry_after.total_seconds(), 0.0)
        return ForgeUnavailable(f"{doing}: GitHub's rate limit is reached for {seconds:g} s more.", seconds)
    if isinstance(failure, RequestFailed):
        return ForgeUnavailable(f"{doing}: GitHub answered {failure.response.status_code}. Try again later.")
    cause = failure.exc if isinstance(failure, RequestError) else failure
    return ForgeUnavailable(f"{doing}: GitHub cannot be reached ({type(cause).__name__}). Try again later.")
