"""A registry of images that asks for a password, from Debian's package `docker-registry`."""

from __future__ import annotations

import base64
import json
import shutil
import signal
from pathlib import Path

import requests

from tests.provision import processes

USER, PASSWORD = "bellhop", "luggage"
# Of that password, by bcrypt, which is the one kind of hash that the registry reads.
_USERS = f"{USER}:$2y$05$abcdefghijklmnopqrstuuxcpfXFyZjvdxeKqUEKGCtnxJeHilmPu\n"
_START_TIMEOUT_SECONDS = 60


def program() -> str | None:
    """The registry's program, None if it is not installed."""
    return shutil.which("docker-registry")


class RegistryServer:
    """One registry on the loopback: start, stop, start again at the same port.

    directory: exists; process and configuration live in it. data: what was pushed, kept for later runs.
    deletes: whether images can be deleted; a registry's own default is that they cannot.
    """

    def __init__(self, directory: Path, data: Path, *, deletes: bool = True) -> None:
        self._directory = directory
        self._data = data
        self.deletes = deletes
        self._server = processes.Server(directory)
        self.port = processes.free_port()

    @property
    def address(self) -> str:
        """What names of images begin with, as `127.0.0.1:port/bellhop`."""
        return f"127.0.0.1:{self.port}/bellhop"

    @property
    def credentials(self) -> Path:
        """A directory for DOCKER_CONFIG, as `docker login` writes it."""
        return self._directory / "docker"

    def start(self) -> None:
        """Start the registry, return once it takes connections.

        Raises: processes.ServerDidNotStart
        """
        found = program()
        assert found is not None, "the registry is not installed"
        self._data.mkdir(parents=True, exist_ok=True)
        (self._directory / "users").write_text(_USERS)
        self.credentials.mkdir(exist_ok=True)
        word = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        logins = {"auths": {f"127.0.0.1:{self.port}": {"auth": word}}}
        (self.credentials / "config.json").write_text(json.dumps(logins))
        configuration = self._directory / "config.json"
        configuration.write_text(json.dumps(self._configuration()))
        argv = [found, "serve", str(configuration)]
        self._server.start(argv, lambda: processes.accepts(self.port), timeout_seconds=_START_TIMEOUT_SECONDS)

    def has(self, shared: str) -> bool:
        """Whether it has the image of that name by digest. An engine answers from what it has kept, too."""
        name, _, digest = shared.partition("/")[2].partition("@")
        answer = requests.head(
            f"http://127.0.0.1:{self.port}/v2/{name}/manifests/{digest}",
            auth=(USER, PASSWORD),
            headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"},
            timeout=_START_TIMEOUT_SECONDS,
        )
        assert answer.status_code in (200, 404), answer
        return answer.status_code == 200

    def stop(self) -> None:
        """End the registry in good order; what was pushed stays."""
        self._server.stop(signal.SIGTERM)

    def _configuration(self) -> dict[str, object]:
        """JSON, which is YAML too. Source: https://distribution.github.io/distribution/about/configuration/"""
        return {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self._data)},
                "delete": {"enabled": self.deletes},
            },
            "http": {"addr": f"127.0.0.1:{self.port}"},
            "auth": {"htpasswd": {"realm": "bellhop", "path": str(self._directory / "users")}},
        }
