"""The way from the broker to a tool server: to its own address alone, measured, and rid of the credential."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from ipaddress import ip_address

import httpx2

from sandbox.broker.door.addresses import Network, NotReachable, Resolver, reachable
from sandbox.broker.door.redaction import Redaction
from sandbox.certificates import system_authorities

CONNECT_SECONDS = 10.0
MAX_RESPONSE_BYTES = 4 * 1024 * 1024
_KEPT_HEADERS = frozenset({"content-type", "content-length", "mcp-session-id", "location"})


class AddressRefused(Exception):
    """The broker does not connect there; the message says why and what to do."""


class AnswerRefused(httpx2.RequestError):
    """What the server answered is not taken; the message, in our own words, says why."""


async def address_of(url: httpx2.URL, networks: Sequence[Network], resolver: Resolver) -> str:
    """The address to connect to for that URL. `http` is enough only within `networks`.

    Raises: AddressRefused, OSError.
    """
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise AddressRefused("its address must begin with https:// and name a host, without a password")
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        addresses = await reachable(url.host, port, networks, resolver)
    except NotReachable as error:
        raise AddressRefused(str(error).removesuffix(".")) from error
    named = all(any(ip_address(each) in network for network in networks) for each in addresses)
    if url.scheme == "http" and not named:
        raise AddressRefused(
            f"its address must begin with https://, as {url.host} is outside EGRESS_NETWORKS"
        )
    return addresses[0]


class PinnedTransport(httpx2.AsyncBaseTransport):
    """Requests to one origin, at the one address that was looked at; everything else is refused.

    `status` is that of the last answer, 0 before the first.
    """

    def __init__(
        self, origin: httpx2.URL, address: str, secrets: Sequence[str], tls: ssl.SSLContext | None = None
    ) -> None:
        self.status = 0
        self._origin = origin
        self._address = address
        self._secrets = secrets
        self._inner = httpx2.AsyncHTTPTransport(verify=tls or system_authorities(), trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer, with the credential blotted out. Raises: AnswerRefused, httpx2.HTTPError."""
        if _place(request.url) != _place(self._origin):
            raise AnswerRefused("the answer leads to another server", request=request)
        pinned = httpx2.Request(
            request.method,
            request.url.copy_with(host=self._address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": self._origin.host},
        )
        response = await self._inner.handle_async_request(pinned)
        self.status = response.status_code
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.stream.aclose()
            raise AnswerRefused("the answer is compressed, which was not asked for", request=request)
        return httpx2.Response(
            response.status_code,
            headers=self._headers(response.headers),
            stream=_Measured(response.stream, Redaction(self._secrets), request),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in headers.items() if name.lower() in _KEPT_HEADERS}
        return {name: hide(value, self._secrets) for name, value in kept.items()}


def hide(text: str, secrets: Sequence[str]) -> str:
    """The text without the secrets."""
    return Redaction(secrets).whole(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _place(url: httpx2.URL) -> tuple[str, str, int | None]:
    return (url.scheme, url.host, url.port)


class _Measured(httpx2.AsyncByteStream):
    """A body without the credential, which ends in an error when it grows too large."""

    def __init__(self, inner: httpx2.AsyncByteStream, redaction: Redaction, request: httpx2.Request) -> None:
        self._inner = inner
        self._redaction = redaction
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._inner:
            size += len(chunk)
            if size > MAX_RESPONSE_BYTES:
                raise AnswerRefused(
                    f"the answer is larger than {MAX_RESPONSE_BYTES // 1024 // 1024} MB",
                    request=self._request,
                )
            if clean := self._redaction.feed(chunk):
                yield clean
        if rest := self._redaction.rest():
            yield rest

    async def aclose(self) -> None:
        await self._inner.aclose()
