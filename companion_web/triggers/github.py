"""GitHub's webhook: what became of our pull requests."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

import structlog
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from companion_web.security import BodyTooLarge
from companion_web.triggers import Receive
from session.commands import Commands
from session.events import PullRequestState
from session.inbox import AlreadyClaimed, Claim
from session.refusals import Refusal
from session.settings import Settings

SOURCE = "github"
MAX_BODY_BYTES = 1024 * 1024
ACTIONS = frozenset({"opened", "closed", "reopened", "converted_to_draft", "ready_for_review"})

log = structlog.get_logger(__name__)


class _Actor(BaseModel):
    login: str


class _Repository(BaseModel):
    full_name: str


class _PullRequest(BaseModel):
    number: int
    state: str
    draft: bool = False
    merged: bool = False
    updated_at: str = ""


class PullRequestDelivery(BaseModel):
    """The part of a `pull_request` delivery that is used.

    Source: GitHub Docs, "Webhook events and payloads", pull_request.
    """

    action: str
    pull_request: _PullRequest
    repository: _Repository
    sender: _Actor

    @property
    def state(self) -> PullRequestState:
        """What the pull request is now, whichever action told of it."""
        if self.pull_request.merged:
            return "merged"
        if self.pull_request.state == "closed":
            return "closed"
        return "draft" if self.pull_request.draft else "open"

    @property
    def meaning(self) -> str:
        """The same for the same change, however often and under whatever delivery id it is told."""
        change = (
            self.repository.full_name,
            self.pull_request.number,
            self.action,
            self.state,
            self.pull_request.updated_at,
        )
        return "pull_request:" + ":".join(str(part) for part in change)


def make(settings: Settings, commands: Commands) -> Receive | None:
    """The endpoint, when `GITHUB_WEBHOOK_SECRET` is set; several secrets, parted by commas, all hold."""
    secrets = tuple(part.strip() for part in settings.github_webhook_secret.split(",") if part.strip())
    return GitHubWebhook(secrets, commands).receive if secrets else None


class GitHubWebhook:
    """Takes deliveries that carry a good signature, and each change once."""

    def __init__(self, secrets: Iterable[str], commands: Commands) -> None:
        self._keys = tuple(secret.encode() for secret in secrets)
        self._commands = commands

    async def receive(self, request: Request) -> Response:
        """202 when a pull request of ours changed, 200 when there is nothing to do."""
        body = await read_capped(request, MAX_BODY_BYTES)
        if not self._signed(body, request.headers.get("x-hub-signature-256", "")):
            return _answer(401, "the signature does not fit the body")
        if request.headers.get("x-github-event") != "pull_request":
            return _answer(200, "nothing to do for this event")
        try:
            delivery = PullRequestDelivery.model_validate_json(body)
        except ValidationError:
            return _answer(400, "the body is no pull_request delivery")
        if delivery.action not in ACTIONS:
            return _answer(200, "nothing to do for this action")
        return await self._record(delivery, request.headers.get("x-github-delivery", ""))

    async def _record(self, delivery: PullRequestDelivery, guid: str) -> Response:
        try:
            view = await self._commands.record_pull_request_state(
                delivery.repository.full_name,
                delivery.pull_request.number,
                delivery.state,
                delivery.sender.login,
                claim=Claim("github", delivery.meaning),
            )
        except AlreadyClaimed:
            return _answer(200, "this was told before")
        except Refusal as refusal:
            log.info("a pull request's state was not taken", delivery=guid, reason=refusal.sentence)
            return _answer(200, "nothing to do in this state")
        if view is None:
            return _answer(200, "not one of our pull requests")
        log.info("a pull request changed", delivery=guid, session_id=view.id, state=delivery.state)
        return _answer(202, "taken")

    def _signed(self, body: bytes, given: str) -> bool:
        """Source: GitHub Docs, "Validating webhook deliveries"."""
        digests = ("sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest() for key in self._keys)
        return any(hmac.compare_digest(digest.encode(), given.encode()) for digest in digests)


async def read_capped(request: Request, limit_bytes: int) -> bytes:
    """The raw body. Raises: BodyTooLarge, before more than that was read."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            raise BodyTooLarge(limit_bytes)
    return bytes(body)


def _answer(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status)
