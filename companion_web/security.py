"""What every answer of the web process carries, and what every request must pass before it is read."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE_BODY_BYTES = 256 * 1024
"""The largest form or JSON body that a page or the API takes."""


class BodyTooLarge(HTTPException):
    """The request's body is larger than what this address takes."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(413, f"The request is larger than {limit_bytes // 1024} KB.")


class ResponseHeaders:
    """Puts the security headers on every answer, and a fresh nonce into `request.state.nonce`."""

    def __init__(self, app: ASGIApp, https: bool) -> None:
        self._app = app
        self._https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["nonce"] = nonce

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(MutableHeaders(scope=message), nonce)
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _add(self, headers: MutableHeaders, nonce: str) -> None:
        headers.setdefault("Content-Security-Policy", content_security_policy(nonce))
        headers.setdefault("X-Content-Type-Options", "nosniff")
        # Under "no-referrer" browsers send `Origin: null` with forms: ours would look like a stranger's.
        headers.setdefault("Referrer-Policy", "same-origin")
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        headers.setdefault("Cache-Control", "no-store")
        if self._https:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")


def content_security_policy(nonce: str) -> str:
    """The policy of all pages: only our own script and style, by nonce, and nothing from elsewhere.

    Source: https://www.w3.org/TR/CSP3/
    """
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


class BodyCap:
    """Refuses bodies over `limit_bytes` before anything parses them, whatever length they declare."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdigit() or int(declared) > self._limit:
            refusal = PlainTextResponse(BodyTooLarge(self._limit).detail, 413)
            await refusal(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise BodyTooLarge(self._limit)
            return message

        await self._app(scope, counted, send)


@dataclass(frozen=True, slots=True)
class CsrfTokens:
    """Makes and checks the token that forms carry, bound to one sign-in.

    Every token is salted anew, so a compressed page never holds the same secret twice.
    """

    key: bytes

    def make(self, sign_in_id: str) -> str:
        """A token for forms shown under this sign-in."""
        salt = secrets.token_hex(8)
        return f"{salt}.{self._digest(salt, sign_in_id)}"

    def valid(self, token: str, sign_in_id: str) -> bool:
        """Whether `make` gave that token for this sign-in."""
        salt, _, digest = token.partition(".")
        return hmac.compare_digest(digest.encode(), self._digest(salt, sign_in_id).encode())

    def _digest(self, salt: str, sign_in_id: str) -> str:
        return hmac.new(self.key, f"csrf:{salt}:{sign_in_id}".encode(), hashlib.sha256).hexdigest()


def derive_key(secret_key: str, purpose: str) -> bytes:
    """A key for one purpose from the process's `SECRET_KEY`."""
    return hmac.new(secret_key.encode(), purpose.encode(), hashlib.sha256).digest()


def same_origin(request: Request, public_url: str) -> bool:
    """Whether a browser says that one of our own pages made this request.

    A request that says neither its origin nor its site is not taken: browsers always send one of them.

    Source: https://www.w3.org/TR/fetch-metadata/
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return site is not None
    return origin == origin_of(public_url)


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, as browsers write an origin."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}"
