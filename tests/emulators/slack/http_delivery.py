"""Delivery over HTTP, signed with the app's secret.

Source: https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from urllib.parse import urlencode

import aiohttp

from tests.emulators.slack.deliveries import ACK_SECONDS, Envelope, NotAcknowledged, patience
from tests.emulators.slack.refusals import Json

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"


class HttpDelivery:
    """Posts events to `events_url`, and interactions and slash commands to `interactive_url`."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        signing_secret: str,
        events_url: str,
        interactive_url: str,
        ack_seconds: float = ACK_SECONDS,
    ) -> None:
        self._http = http
        self.signing_secret = signing_secret
        self._events_url = events_url
        self._interactive_url = interactive_url
        self._ack_seconds = ack_seconds
        self.sent: list[Envelope] = []

    async def verify_url(self) -> None:
        """Make sure that the app answers Slack's challenge.

        Raises:
            NotAcknowledged: it does not.
        """
        word = secrets.token_hex(8)
        question = {"type": "url_verification", "token": "legacy-verification-token", "challenge": word}
        answer = await self._post(self._events_url, _JSON, json.dumps(question), {}, self._ack_seconds)
        if answer is None or answer.get("challenge", answer.get("text")) != word:
            raise NotAcknowledged(f"the challenge was answered with {answer}")

    async def send(self, envelope: Envelope) -> Json | None:
        """Deliver one envelope; see `Transport.send`."""
        self.sent.append(envelope)
        seconds = patience(envelope, self._ack_seconds)
        if envelope.kind == "events_api":
            retry = {"X-Slack-Retry-Num": str(envelope.attempt), "X-Slack-Retry-Reason": envelope.reason}
            body = json.dumps(envelope.payload)
            return await self._post(self._events_url, _JSON, body, retry if envelope.attempt else {}, seconds)
        if envelope.kind == "interactive":
            form = urlencode({"payload": json.dumps(envelope.payload)})
        else:
            form = urlencode(envelope.payload)
        return await self._post(self._interactive_url, _FORM, form, {}, seconds)

    async def _post(
        self, url: str, content_type: str, body: str, headers: dict[str, str], seconds: float
    ) -> Json | None:
        timestamp = str(int(time.time()))
        signed = {
            **headers,
            "Content-Type": content_type,
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature(self.signing_secret, timestamp, body),
        }
        timeout = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._http.post(url, data=body.encode(), headers=signed, timeout=timeout) as response:
                text = await response.text()
                if not response.ok:
                    raise NotAcknowledged("http_error")
                return _decoded(text)
        except TimeoutError as error:
            raise NotAcknowledged("http_timeout") from error
        except aiohttp.ClientError as error:
            raise NotAcknowledged("connection_failed") from error


def signature(secret: str, timestamp: str, body: str) -> str:
    """The `v0` signature of a request."""
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256)
    return "v0=" + digest.hexdigest()


def _decoded(text: str) -> Json | None:
    if not text:
        return None
    try:
        answer = json.loads(text)
    except ValueError:
        return {"text": text}
    return answer if isinstance(answer, dict) else {"text": text}
