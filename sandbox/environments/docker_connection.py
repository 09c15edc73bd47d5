"""The way to a Docker engine: every call goes through here, and fails in one of two ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import requests
import urllib3
from docker import DockerClient
from docker.errors import APIError, DockerException

from sandbox.environments.protocol import EnvironmentUnavailable, SandboxFailed

DEFAULT_ENGINE = "unix:///var/run/docker.sock"
# What the SDK lets through of the connection below it. An APIError is one too: it has to be asked for first.
GONE = (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, ConnectionError)
# As every program says it, in upper or lower case. Source: strerror(3), ENOSPC.
NO_ROOM = "no space left on device"

P = ParamSpec("P")
T = TypeVar("T")


class Engine:
    """The engine at `url`. Nothing of the SDK's own errors comes out of `call`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: DockerClient | None = None

    async def client(self) -> DockerClient:
        """The SDK's client, connected at some time before. Raises: EnvironmentUnavailable."""
        return await asyncio.to_thread(self._connected)

    async def check(self) -> None:
        """Returns when the engine answers. Raises: EnvironmentUnavailable, SandboxFailed."""
        client = await self.client()
        await self.call("it was asked whether it is there", client.ping)

    async def call(self, failing: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns, which asks the engine and is run beside the loop.

        `failing` is what does not happen when it fails, in words ("box b: no snapshot").

        Raises: EnvironmentUnavailable when the engine is gone or its disk full, SandboxFailed when it
        refuses, and whatever else the function raises.
        """

        def asked() -> T:
            with self.asking(failing):
                return function(*args, **kwargs)

        return await asyncio.to_thread(asked)

    @contextmanager
    def asking(self, failing: str) -> Iterator[None]:
        """The same for calls that are made in the context."""
        try:
            yield
        except APIError as error:
            said = str(error.explanation or error)
            if NO_ROOM in said.lower():
                raise EnvironmentUnavailable(
                    f"The disk of the Docker engine at {self._url} has no room left ({failing}): make some."
                ) from error
            raise SandboxFailed(f"{failing}: the engine refuses: {said}") from error
        except GONE as error:
            raise EnvironmentUnavailable(
                f"The Docker engine at {self._url} does not answer any more ({failing}): see whether it runs."
            ) from error
        except DockerException as error:
            raise SandboxFailed(f"{failing}: {error}") from error

    async def aclose(self) -> None:
        """The connection is closed."""
        if self._client is not None:
            await asyncio.to_thread(self._client.close)
            self._client = None

    def _connected(self) -> DockerClient:
        try:
            # Looked for first: the SDK leaks the socket that it could not connect.
            scheme, _, path = self._url.partition("://")
            if scheme == "unix" and not Path(path).exists():
                raise DockerException(f"there is no socket {self._url}")
            if self._client is None:
                self._client = DockerClient(base_url=self._url)
        except (DockerException, *GONE) as error:
            raise EnvironmentUnavailable(
                f"No Docker engine answers at {self._url}: start one, set DOCKER_HOST to its address, "
                "or choose another SANDBOX_BACKEND."
            ) from error
        return self._client
