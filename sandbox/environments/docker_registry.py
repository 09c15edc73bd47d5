"""A registry as a Docker engine reaches it. The engine pushes and pulls; what it cannot do, such as removing
an image from there, is asked of the registry itself. All of it blocks, but for `DockerRegistry`.

Credentials are those of `docker login` (DOCKER_CONFIG, else ~/.docker/config.json), read anew for each use.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import requests
import structlog
from docker import DockerClient, auth
from docker.errors import APIError, ImageNotFound

from sandbox.environments.docker_connection import Engine
from sandbox.environments.docker_containers import SNAPSHOT_REPOSITORY, snapshot_name
from sandbox.environments.docker_images import KEPT_REPOSITORY, kept_name
from sandbox.environments.images import ImageTag
from sandbox.environments.protocol import ImageMissing
from sandbox.environments.registry import KeepsAll, RegistryAway, RegistryRefused

log = structlog.get_logger()

IMAGES, SNAPSHOTS = "images", "snapshots"
ANSWER_SECONDS = (3.0, 20.0)
"""For a connection, and for an answer after that."""

NOTHING = f"sha256:{'0' * 64}"
"""A digest that no image has."""

_PARTS = re.compile(r'(\w+)="([^"]*)"')
_REFUSALS = (
    "unauthorized",
    "denied",
    "no basic auth",
    "authentication required",
    "not found",
    "manifest unknown",
)


class DockerRegistry:
    """The registry at `address`, a host with a port or a path behind it, for the images of `owner`.

    `logins`: the file of credentials, None: the usual one.
    """

    def __init__(self, engine: Engine, address: str, owner: str, logins: Path | None = None) -> None:
        self._engine = engine
        self._owner = owner
        self._server = _Server(address.rstrip("/"), logins)
        self._told = False

    @property
    def address(self) -> str:
        return self._server.address

    async def push(self, reference: str) -> str:
        """The image's name there, by digest.

        Raises: ImageMissing, RegistryAway, RegistryRefused, EnvironmentUnavailable.
        """
        client = await self._engine.client()
        return await self._engine.call(f"{reference} cannot be pushed", self._push, client, reference)

    def image(self, tag: ImageTag) -> str:
        """The engine's name of a repository's image."""
        return kept_name(self._owner, tag)

    def snapshot(self, box: str, tag: str) -> str:
        """The engine's name of a snapshot."""
        return snapshot_name(self._owner, box, tag)

    async def pull(self, shared: str, reference: str) -> None:
        """The image is in the engine. Raises: RegistryAway, RegistryRefused, EnvironmentUnavailable."""
        client = await self._engine.client()
        await self._engine.call(f"{shared} cannot be pulled", self._pull, client, shared, reference)

    async def remove(self, shared: str) -> None:
        """The image is not there any more, unless the registry keeps all, which is said once in the log.

        Raises: RegistryAway, RegistryRefused.
        """
        repository, _, digest = shared.partition("@")
        try:
            await asyncio.to_thread(self._server.delete, repository, digest)
        except KeepsAll as error:
            if not self._told:
                log.warning("registry keeps all", reason=str(error))
            self._told = True

    async def check(self) -> None:
        """Raises: RegistryAway, RegistryRefused, KeepsAll."""
        await asyncio.to_thread(self._server.greet)
        await asyncio.to_thread(self._server.delete, f"{self.address}/{IMAGES}", NOTHING)

    def _push(self, client: DockerClient, reference: str) -> str:
        # The engine would try for half a minute.
        self._server.greet()
        repository, tag = self._name_there(reference)
        try:
            client.images.get(reference).tag(repository, tag)
            try:
                said = client.api.push(
                    repository, tag, stream=True, decode=True, auth_config=self._server.login()
                )
                digest = ""
                for line in said:
                    _must(line, self.address)
                    digest = line.get("aux", {}).get("Digest", digest)
            finally:
                with suppress(ImageNotFound):
                    # Its own name keeps the image in the engine.
                    client.images.remove(f"{repository}:{tag}")
        except ImageNotFound as error:
            raise ImageMissing(f"{reference} is not in the engine any more") from error
        except APIError as error:
            raise _told(_said(error), self.address) from error
        if not digest:
            raise RegistryRefused(f"the engine did not say what {reference} is called at {self.address}")
        return f"{repository}@{digest}"

    def _pull(self, client: DockerClient, shared: str, reference: str) -> None:
        self._server.greet()
        repository, _, digest = shared.partition("@")
        try:
            said = client.api.pull(
                repository, digest, stream=True, decode=True, auth_config=self._server.login()
            )
            for line in said:
                _must(line, self.address)
            client.images.get(shared).tag(*reference.rsplit(":", 1))
            # One name is enough, and under this one nobody would remove it.
            client.images.remove(shared)
        except APIError as error:
            raise _told(_said(error), self.address) from error

    def _name_there(self, reference: str) -> tuple[str, str]:
        """Repository and tag: few repositories, since a registry keeps their names for ever."""
        repository, _, tag = reference.rpartition(":")
        if repository.startswith(KEPT_REPOSITORY):
            return f"{self.address}/{IMAGES}", f"{repository.removeprefix(KEPT_REPOSITORY)}-{tag}"
        return f"{self.address}/{SNAPSHOTS}", f"{repository.removeprefix(f'{SNAPSHOT_REPOSITORY}-')}-{tag}"


class _Server:
    """What is asked of the registry without the engine.

    Source: https://distribution.github.io/distribution/spec/api/ and …/spec/auth/token/
    """

    def __init__(self, address: str, logins: Path | None) -> None:
        self.address = address
        self._host, _, self._path = address.partition("/")
        self._logins = logins

    def login(self) -> dict[str, str]:
        """Who we are to the registry; empty for nobody."""
        logins = auth.load_config(config_path=None if self._logins is None else str(self._logins))
        return dict(logins.resolve_authconfig(self._host) or {})

    def greet(self) -> None:
        """Return if it knows us. Raises: RegistryAway, RegistryRefused."""
        answer = self._ask("GET", "", "")
        if answer.status_code != 200:
            raise RegistryRefused(f"{self.address} is no registry (it answered {answer.status_code})")

    def delete(self, repository: str, digest: str) -> None:
        """Raises: RegistryAway, RegistryRefused, KeepsAll."""
        name = repository.partition("/")[2]
        answer = self._ask("DELETE", f"{name}/manifests/{digest}", f"repository:{name}:pull,delete")
        if answer.status_code == 405:
            raise KeepsAll(
                f"{self.address} deletes nothing, so it only grows: start it with "
                "REGISTRY_STORAGE_DELETE_ENABLED=true, and collect its garbage now and then"
            )
        if answer.status_code >= 500:
            raise RegistryAway(f"{self.address} cannot delete now (it answered {answer.status_code})")
        if answer.status_code >= 400 and answer.status_code != 404:
            raise RegistryRefused(f"{self.address} refused to delete (it answered {answer.status_code})")

    def _ask(self, method: Literal["GET", "DELETE"], path: str, scope: str) -> requests.Response:
        """Its answer, with our name given where it asks for one. Raises: RegistryAway, RegistryRefused."""
        url = f"{'http' if _on_loopback(self._host) else 'https'}://{self._host}/v2/{path}"
        login = self.login()
        known = (login["username"], login["password"]) if login.get("password") else None
        try:
            answer = requests.request(method, url, auth=known, timeout=ANSWER_SECONDS)
            challenge = answer.headers.get("WWW-Authenticate", "")
            if answer.status_code == 401 and challenge.lower().startswith("bearer "):
                token = _token(dict(_PARTS.findall(challenge)), scope, known)
                headers = {"Authorization": f"Bearer {token}"}
                answer = requests.request(method, url, headers=headers, timeout=ANSWER_SECONDS)
        except requests.exceptions.RequestException as error:
            raise RegistryAway(f"{self.address} does not answer ({type(error).__name__})") from error
        if answer.status_code in (401, 403):
            raise RegistryRefused(
                f"{self.address} does not let us in: `docker login {self._host}` as the worker's user, or "
                "let DOCKER_CONFIG be a directory whose config.json has it"
            )
        return answer


def _token(challenge: Mapping[str, str], scope: str, known: tuple[str, str] | None) -> str:
    """The token that the registry's own service gives. Raises: RequestException."""
    asked = {"service": challenge.get("service", ""), "scope": scope}
    answer = requests.get(challenge.get("realm", ""), params=asked, auth=known, timeout=ANSWER_SECONDS)
    answer.raise_for_status()
    given = answer.json()
    return str(given.get("token") or given.get("access_token") or "")


def _said(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error)


def _must(line: Mapping[str, object], address: str) -> None:
    """Raises what a line of the engine's report says went wrong."""
    if "error" in line:
        raise _told(str(line["error"]), address)


def _told(said: str, address: str) -> RegistryAway | RegistryRefused:
    """The engine's words about the registry, as a refusal where they are one."""
    words = " ".join(said.split())[:300]
    if any(refusal in words.lower() for refusal in _REFUSALS):
        return RegistryRefused(f"{address} refused: {words}")
    return RegistryAway(f"{address} cannot be used now: {words}")


def _on_loopback(host: str) -> bool:
    """Engines speak plain HTTP there, and so do we; everywhere else it is TLS."""
    name = host.rsplit(":", 1)[0] if host.rsplit(":", 1)[-1].isdecimal() else host
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost"
