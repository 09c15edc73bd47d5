"""The way from a worker to a model: through the broker's gateway, at a Unix socket."""

from __future__ import annotations

from pathlib import Path

import httpx2

BROKER_MODELS = "http://broker/v1"
"""Address of the gateway for a client made by `broker_http_client`."""
PLACEHOLDER_KEY = "held-by-the-broker"

BROKER_AWAY = (
    "The broker, which holds the key of the model, does not answer. The work goes on when it is back."
)


def broker_http_client(socket: Path) -> httpx2.AsyncClient:
    """A client whose every request goes to the broker at that socket; to be closed by the caller."""
    return httpx2.AsyncClient(
        # No TLS on a Unix socket: loading the authorities would be most of the work.
        transport=httpx2.AsyncHTTPTransport(
            uds=str(socket), verify=False, limits=httpx2.Limits(max_connections=None)
        ),
        trust_env=False,
    )


def is_broker_away(error: BaseException) -> bool:
    """Whether a call failed because nothing listens at the broker's socket."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout):
            return True
        cause = cause.__cause__
    return False
