"""Which headers leave the box and which come back; where a real credential takes its placeholder's place."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from sandbox.broker.door.redaction import Redaction
from session.policy import SecretUse

Header = tuple[str, str]

PLACEHOLDER = re.compile(r"bellhop-placeholder-([A-Za-z0-9_]+)")

CREDENTIALS = frozenset({
    "api-key", "apikey", "authentication", "authorization", "circle-token", "cookie", "cookie2", "dd-api-key",
    "dd-application-key", "deploy-token", "job-token", "npm-auth-token", "ocp-apim-subscription-key",
    "private-token", "proxy-authorization", "x-access-token", "x-amz-security-token", "x-api-key", "x-apikey",
    "x-api-token", "x-auth-key", "x-auth-token", "x-authorization", "x-csrf-token", "x-figma-token",
    "x-github-token", "x-gitlab-token", "x-goog-api-key", "x-goog-iam-authorization-token",
    "x-honeycomb-team", "x-ms-token-aad-access-token", "x-nuget-apikey", "x-rundeck-auth-token",
    "x-session-token", "x-shopify-access-token", "x-token", "x-vault-token", "x-xsrf-token",
})  # fmt: skip
"""Headers that hold credentials. What the box puts there is its own, or an attacker's: it is dropped."""

_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "http2-settings",
})  # fmt: skip
_METHOD_OVERRIDES = frozenset({"x-http-method", "x-http-method-override", "x-method-override"})
_OWN = frozenset({"accept-encoding", "expect", "host"})
_RANGES = frozenset({"range", "if-range"})
_NOT_BACK = frozenset({"alt-svc", "set-cookie", "set-cookie2"})


class UnknownPlaceholder(Exception):
    """A header holds a placeholder that the door may not replace there; the message says which."""


def outgoing(headers: Iterable[Header], host: str, use: SecretUse | None, secret: str) -> list[Header]:
    """The headers as they leave. use, secret: the credential of the rule, and its value.

    Raises: UnknownPlaceholder.
    """
    given = list(headers)
    slot = use.header.lower() if use is not None else None
    dropped = CREDENTIALS | _HOP | _METHOD_OVERRIDES | _OWN | _listed(given)
    if slot is not None:
        # In pieces a server's echo of the secret would not be recognised.
        dropped = dropped | {slot} | _RANGES
    # The length frames the body, whatever Connection says.
    dropped = dropped - {"content-length"}
    fill = use is not None
    for name, value in given:
        placeholders = _placeholders(value)
        if use is not None and name.lower() == slot:
            fill = fill and placeholders == {use.secret}
            placeholders -= {use.secret}
        if placeholders:
            raise UnknownPlaceholder(
                f"The header {name} holds the placeholder of {', '.join(sorted(placeholders))}, which no "
                "rule for this request puts there."
            )
    kept = [(name, value) for name, value in given if name.lower() not in dropped]
    if use is not None and fill:
        kept.append((use.header, use.form.replace("{}", secret)))
    return [("Host", host), *kept, ("Accept-Encoding", "identity")]


def for_git(headers: Iterable[Header]) -> dict[str, str]:
    """The headers of a request that goes no further than the house, by lower-case name."""
    given = list(headers)
    dropped = CREDENTIALS | _HOP | _listed(given) | {"expect"}
    return {name.lower(): value for name, value in given if name.lower() not in dropped}


def returning(headers: Iterable[Header], redaction: Redaction) -> list[Header]:
    """The headers as the box gets them."""
    given = list(headers)
    dropped = (_HOP | _NOT_BACK | _listed(given)) - {"content-length"}
    return [
        (name, redaction.whole(value.encode("latin-1")).decode("latin-1"))
        for name, value in given
        if name.lower() not in dropped
    ]


def _listed(headers: Iterable[Header]) -> frozenset[str]:
    """The headers that concern one connection only, as its Connection header says."""
    return frozenset(
        part.strip().lower()
        for name, value in headers
        if name.lower() == "connection"
        for part in value.split(",")
    )


def _placeholders(value: str) -> set[str]:
    return {name for text in (value, _basic(value)) for name in PLACEHOLDER.findall(text)}


def _basic(value: str) -> str:
    """What a Basic credential says in plain text; empty for anything else."""
    scheme, _, rest = value.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(rest).decode("latin-1")
    except (binascii.Error, ValueError):
        return ""
