"""What a failed model call means: try again, give up, or make the conversation shorter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from json import JSONDecodeError

from openai import APIConnectionError, APIError, APIResponseValidationError, APIStatusError, APITimeoutError

from sandbox.agent.model import (
    BudgetSpent,
    ContextOverflow,
    ModelError,
    ModelHalted,
    ModelRefused,
    ModelUnavailable,
)
from sandbox.agent.reply_assembly import IncompleteReply

TRANSIENT_STATUSES = frozenset({408, 409, 425, 429})
# No two providers word this alike; the code `context_length_exceeded` is OpenAI's own.
_OVERFLOW_WORDS = re.compile(
    r"context[_ ](length|window)|maximum context|prompt is too long|input is too long"
    r"|too many (input )?tokens|exceeds the (model's )?(maximum|limit).{0,40}tokens"
    r"|reduce the length of the messages",
    re.IGNORECASE,
)
CALL_FAILURES = (APIError, IncompleteReply, JSONDecodeError, UnicodeDecodeError, TimeoutError)
"""Every way in which a call through the SDK fails; anything else is a defect and must surface."""


@dataclass(frozen=True, slots=True)
class Transient:
    """A fault that may pass; `retry_after_seconds` is what the provider asked for, if it did."""

    reason: str
    retry_after_seconds: float | None = None


def judge(error: Exception, model_id: str, now: datetime) -> Transient | ModelError:
    """What to make of `error` from a call to `model_id`; `now` is needed to read Retry-After dates."""
    if isinstance(error, APIError) and _is_overflow(error):
        return ContextOverflow(f"The conversation is larger than {model_id} can hold.")
    if isinstance(error, APIStatusError):
        return _judge_gateway(error) or _judge_status(error, model_id, now)
    if isinstance(error, APITimeoutError | TimeoutError):
        return Transient("it took too long to answer")
    if isinstance(error, APIConnectionError):
        return Transient("the connection failed")
    if isinstance(error, APIResponseValidationError | JSONDecodeError | UnicodeDecodeError | IncompleteReply):
        return Transient("its answer broke off in the middle")
    return Transient(f"it reported an error while answering: {error}")


def _judge_gateway(error: APIStatusError) -> Transient | ModelError | None:
    """What the broker's gateway says itself, instead of the provider; None for the provider's own errors."""
    body = error.body if isinstance(error.body, dict) else {}
    if body.get("type") != "bellhop":
        return None
    said = str(body.get("message", ""))
    match error.code:
        case "budget_spent":
            return BudgetSpent(said, str(body.get("budget", "")))
        case "halted":
            return ModelHalted(said)
        case "audit_down" | "database_down":
            return ModelUnavailable(f"The broker asks no model at the moment: {said}")
        case "provider_unreachable":
            return Transient("the connection failed")
        case "budget_reserved":
            return Transient("other calls hold what is left of the budget", 1.0)
    return ModelRefused(f"The broker refused the model call: {said}")


def _judge_status(error: APIStatusError, model_id: str, now: datetime) -> Transient | ModelError:
    status = error.status_code
    if error.code == "insufficient_quota":
        return ModelRefused(
            "The model provider says that the quota is used up: check the plan and billing of OPENAI_API_KEY."
        )
    if status in TRANSIENT_STATUSES or status >= 500:
        return Transient(f"it answered with HTTP {status}", _retry_after_seconds(error, now))
    if status in (401, 403):
        return ModelRefused(
            f"The model provider refused the API key (HTTP {status}): check OPENAI_API_KEY, and that it "
            "belongs to OPENAI_BASE_URL."
        )
    if status == 404:
        return ModelRefused(
            f"The model provider does not know the model {model_id} (HTTP 404): check AGENT_MODEL and "
            "OPENAI_BASE_URL."
        )
    return ModelRefused(f"The model provider refused the request (HTTP {status}): {error.message}")


def _is_overflow(error: APIError) -> bool:
    if error.code == "context_length_exceeded":
        return True
    status = error.status_code if isinstance(error, APIStatusError) else 400
    return status in (400, 413, 422) and bool(_OVERFLOW_WORDS.search(error.message))


def _retry_after_seconds(error: APIStatusError, now: datetime) -> float | None:
    headers = error.response.headers
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None or (seconds := _number(value)) is not None:
        return seconds if value is not None else None
    try:
        return max((parsedate_to_datetime(value) - now).total_seconds(), 0.0)
    except (ValueError, TypeError):  # unreadable, or a date without a zone
        return None


def _number(value: str | None) -> float | None:
    return float(value) if value is not None and re.fullmatch(r"\d+(\.\d+)?", value) else None
