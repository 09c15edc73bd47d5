"""One allowed request on its way: out with its credential, and its answer back without."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import h11

from sandbox.broker.door.box_side import BoxSide
from sandbox.broker.door.gate import FORBIDDEN, UNAVAILABLE, Denied, Gate, Meter
from sandbox.broker.door.headers import Header, outgoing, returning
from sandbox.broker.door.judgement import Allowed, Judgement
from sandbox.broker.door.parts import DoorParts
from sandbox.broker.door.redaction import MIN_FORM_BYTES, Redaction
from sandbox.broker.door.streams import Gone
from sandbox.broker.door.targets import Target
from sandbox.broker.door.upstream import Upstream, UpstreamFailed
from sandbox.broker.vault import VaultError

BAD_GATEWAY = 502


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as the server gets it. secrets: what must not come back."""

    method: str
    target: Target
    headers: Sequence[Header]
    max_bytes: int
    secrets: tuple[str, ...]


async def prepared(
    method: str, target: Target, headers: Sequence[Header], allowed: Allowed, parts: DoorParts
) -> Outgoing:
    """The request with its credential. Raises: UnknownPlaceholder, Denied."""
    use, secret = allowed.credential, ""
    if use is not None:
        try:
            secret = await parts.secrets.get(use.secret) or ""
        except VaultError as error:
            raise Denied(UNAVAILABLE, str(error)) from error
        if not secret or not secret.isprintable() or not secret.isascii():
            raise Denied(
                FORBIDDEN,
                f"The rule for {target.endpoint.host} puts the secret {use.secret} into a header, but "
                "there is none that fits one. An administrator sets it with "
                f"`bellhop secrets set {use.secret}`.",
            )
    sent = outgoing(headers, target.endpoint.netloc, use, secret)
    if any(name.lower() == "transfer-encoding" for name, _ in headers):
        sent.append(("Transfer-Encoding", "chunked"))
    secrets = (secret, *_inside(secret)) if use is not None else ()
    return Outgoing(method, target, sent, allowed.max_bytes, secrets)


def _inside(secret: str) -> tuple[str, ...]:
    """The password in a secret that is a whole Basic credential; nothing for any other."""
    try:
        _, colon, password = base64.b64decode(secret, validate=True).decode("ascii").partition(":")
    except ValueError:
        return ()
    return (password,) if colon and len(password) >= MIN_FORM_BYTES and password.isprintable() else ()


async def forward(
    side: BoxSide, upstream: Upstream, request: Outgoing, gate: Gate, judgement: Judgement, meter: Meter
) -> None:
    """Send the request and give the box its answer, both piece by piece.

    Raises: UpstreamFailed, Denied, EgressSpent, Halted, DatabaseDown, Malformed, Gone.
    """
    sending = asyncio.create_task(
        upstream.send(
            request.method,
            request.target.sent,
            request.headers,
            _counted(side, meter) if side.has_body else None,
        )
    )
    try:
        head = await _head(upstream, sending)
        await gate.taint(judgement, request.target.endpoint.host)
        await _back(side, upstream, head, request, meter)
        if sending.done():
            sending.result()
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await meter.settle()


async def _head(upstream: Upstream, sending: asyncio.Task[None]) -> h11.Response:
    """The beginning of the answer, which may come before the whole request is sent."""
    answering = asyncio.create_task(upstream.head())
    try:
        await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and not answering.done():
            with contextlib.suppress(UpstreamFailed):  # it may have answered before it stopped listening
                sending.result()
        return await answering
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


async def _counted(side: BoxSide, meter: Meter) -> AsyncIterator[bytes]:
    async for piece in side.body():
        await meter.add(len(piece))
        yield piece


async def _back(
    side: BoxSide, upstream: Upstream, head: h11.Response, request: Outgoing, meter: Meter
) -> None:
    host = request.target.endpoint.host
    came = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in head.headers}
    if int(came.get("content-length", "0")) > request.max_bytes and request.method != "HEAD":
        raise Denied(BAD_GATEWAY, f"The answer of {host} is larger than its rule allows.")
    if request.secrets and came.get("content-encoding", "identity").lower() != "identity":
        raise Denied(
            BAD_GATEWAY, f"{host} answers in an encoding that the door cannot look through for secrets."
        )
    redaction = Redaction(request.secrets)
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers.raw_items()]
    await side.start(head.status_code, returning(headers, redaction), redaction.whole(bytes(head.reason)))
    # Whoever has the whole answer may ask for more at once, so it is counted before its end is sent.
    left, coming = request.max_bytes, int(came.get("content-length", "-1"))
    async for piece in upstream.body():
        left -= len(piece)
        if left < 0:
            raise Gone
        await meter.add(len(piece))
        coming -= len(piece)
        if coming == 0:
            await meter.settle()
        await side.send(redaction.feed(piece) if request.secrets else piece)
    await meter.settle()
    await side.send(redaction.rest())
    await side.finish()
