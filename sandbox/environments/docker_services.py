"""Services in containers beside a box, in its network namespace: no address, no way out but its door."""

from __future__ import annotations

import hashlib
import json
import math
import posixpath
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import requests
from docker import DockerClient
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.models.images import Image

from sandbox.agent.output import strip_terminal
from sandbox.environments.docker_containers import OWNER_LABEL, container_name
from sandbox.environments.docker_images import DockerImages
from sandbox.environments.hardening import HOSTS, SECCOMP_PROFILE, service_options
from sandbox.environments.images import ImageUnavailable
from sandbox.environments.protocol import NAME_LABEL, SESSION_LABEL, SandboxLimits
from sandbox.environments.service import (
    BESIDE_LABEL,
    SERVICE_LABEL,
    SPEC_LABEL,
    ServiceFailed,
    ServiceSpec,
    until_ready,
)
from sandbox.environments.usage import FullService

GIB = 1024**3
LIMITS = SandboxLimits(memory_bytes=1 * GIB, cpus=1.0, pids=256)
# No box's name has a dot, and a box that moves has another word after it.
TITLE = "{box}.service-{name}"
# An engine's answer is waited for no longer than a minute, and it says nothing before a command's end.
SLICE_SECONDS = 20
GLANCE_SECONDS = 0.5
SAID_CHARACTERS = 1000


class DockerServices:
    """The services of `owner`'s boxes. All of it blocks.

    `glance_seconds`: how long one that says nothing of when it is ready has to end at once.
    """

    def __init__(
        self, client: DockerClient, owner: str, runtime: str | None, glance_seconds: float = GLANCE_SECONDS
    ) -> None:
        self._client = client
        self._owner = owner
        self._runtime = runtime
        self._glance_seconds = glance_seconds

    def open(self, box_name: str, service: ServiceSpec) -> bool:
        """The service runs beside the running box, and answers; whether it began only now.

        One that does not answer is removed again; what an engine that goes away leaves, the next one to open
        it finds. Raises: ServiceFailed.
        """
        try:
            box = self._client.containers.get(container_name(self._owner, box_name))
            title = TITLE.format(box=box.name, name=service.name)
            if (container := self._running(box, service, title)) is not None:
                self._wait(container, service, began=False)
                return False
            container = self._create(box, service, title)
            container.start()
            self._wait(container, service, began=True)
            return True
        except ServiceFailed:
            self._remove(box_name, service.name)
            raise
        except APIError as error:
            self._remove(box_name, service.name)
            raise ServiceFailed(service.name, f"could not be started: {_said(error)}.") from error

    def end(self, box_name: str) -> None:
        """Nothing of the box's services is left. Their network ended with the box, their data with them."""
        self._remove(box_name)

    def sweep(self) -> int:
        """How many services were removed because their box is gone, or does not run."""
        services = self._list(*self._own_labels())
        # Boxes are looked at after services: one that began since then keeps what it has.
        return sum(_remove(service) for service in services if not self._is_alive(service))

    def end_full(self, most_bytes: int) -> list[FullService]:
        """The services that have written more than that beside their volumes. They are removed."""
        # What the SDK's own listing cannot ask for: how much each has written.
        running = self._client.api.containers(size=True, filters={"label": self._own_labels()})
        full = []
        for each in running:
            written = int(each.get("SizeRw") or 0)
            if written > most_bytes and _remove(self._client.containers.get(each["Id"])):
                box = self._labels_of(each["Labels"][BESIDE_LABEL])
                whose = box.get(NAME_LABEL, ""), box.get(SESSION_LABEL, "")
                full.append(FullService(*whose, each["Labels"][SERVICE_LABEL], written))
        return full

    def _own_labels(self) -> list[str]:
        return [f"{OWNER_LABEL}={self._owner}", SERVICE_LABEL]

    def _labels_of(self, box: str) -> Mapping[str, str]:
        try:
            return dict(self._client.containers.get(box).labels)
        except NotFound:
            return {}

    def _is_alive(self, service: Container) -> bool:
        try:
            return bool(self._client.containers.get(service.labels[BESIDE_LABEL]).status == "running")
        except NotFound:
            return False

    def _running(self, box: Container, service: ServiceSpec, title: str) -> Container | None:
        """The service as it is wanted, in the network that the box has now; one that is not so is removed."""
        try:
            found = self._client.containers.get(title)
        except NotFound:
            return None
        same = found.labels.get(SPEC_LABEL) == _digest(service)
        if same and found.status == "running" and _follows(found, box):
            return found
        _remove(found)
        return None

    def _create(self, box: Container, service: ServiceSpec, title: str) -> Container:
        image = self._image(service)
        data, seccomp = data_paths(image), SECCOMP_PROFILE.read_text()
        return self._client.containers.create(
            image,
            list(service.command) or None,
            name=title,
            environment=dict(service.env),
            labels={
                OWNER_LABEL: self._owner,
                SERVICE_LABEL: service.name,
                BESIDE_LABEL: str(box.name),
                SPEC_LABEL: _digest(service),
            },
            **service_options(LIMITS, str(box.id), _hosts(box), data, self._runtime, seccomp),
        )

    def _image(self, service: ServiceSpec) -> Image:
        """The service's image, in the engine and fit to be used."""
        try:
            base = DockerImages(self._client, self._owner).named(service.image)
        except ImageUnavailable as error:
            raise ServiceFailed(service.name, f"has no image. {error}") from error
        return self._client.images.get(base.identity)

    def _wait(self, container: Container, service: ServiceSpec, *, began: bool) -> None:
        if not service.ready:
            if began:
                self._glance(container, service)
            return
        deadline, left = time.monotonic() + service.ready_seconds, float(service.ready_seconds)
        answer = ""
        while left > 0:
            script = until_ready(service.ready, min(math.ceil(left), SLICE_SECONDS))
            try:
                done = container.exec_run(["sh", "-c", script])
            except APIError as error:
                if error.status_code != 409:
                    raise
                raise self._ended(container, service) from error
            if done.exit_code == 0:
                return
            container.reload()
            if container.status != "running":
                raise self._ended(container, service)
            assert isinstance(done.output, bytes), "it was not asked for as a stream"
            answer = _plain(done.output)
            if done.exit_code != 1:  # there is no shell, or the command is none
                break
            left = deadline - time.monotonic()
        what = (
            f"did not answer within {service.ready_seconds} s: `{service.ready}` said {answer or 'nothing'}."
        )
        raise ServiceFailed(service.name, what, _log(container))

    def _glance(self, container: Container, service: ServiceSpec) -> None:
        try:
            container.wait(timeout=self._glance_seconds)
        except requests.exceptions.RequestException:
            # The time is up, or the engine is gone; the SDK does not tell the two apart.
            container.reload()
            if container.status == "running":
                return
        raise self._ended(container, service)

    def _ended(self, container: Container, service: ServiceSpec) -> ServiceFailed:
        container.reload()
        state = container.attrs["State"]
        how = "ran out of memory" if state["OOMKilled"] else f"ended with exit code {state['ExitCode']}"
        return ServiceFailed(service.name, f"{how} when it was started.", _log(container))

    def _remove(self, box_name: str, service: str = "") -> None:
        beside = f"{BESIDE_LABEL}={container_name(self._owner, box_name)}"
        for container in self._list(beside, f"{SERVICE_LABEL}={service}" if service else SERVICE_LABEL):
            _remove(container)

    def _list(self, *labels: str) -> list[Container]:
        filters: dict[str, str | list[str] | bool] = {"label": list(labels)}
        return list(self._client.containers.list(all=True, filters=filters, ignore_removed=True))


def data_paths(image: Image) -> tuple[str, ...]:
    """The paths that the image declares as volumes."""
    paths = (image.attrs.get("Config") or {}).get("Volumes") or {}
    return tuple(sorted(posixpath.normpath(path) for path in paths))


def _remove(container: Container) -> bool:
    try:
        container.remove(force=True, v=True)
    except APIError as error:
        # Somebody else removes it, or has.
        if error.status_code not in (404, 409):
            raise
        return False
    return True


def _hosts(box: Container) -> Path:
    """The file of names that the box sees."""
    return next(Path(mount["Source"]) for mount in box.attrs["Mounts"] if mount["Destination"] == HOSTS)


def _follows(service: Container, box: Container) -> bool:
    """Whether the service is in the network of the box as it is now: one that starts again has a new one."""
    network = service.attrs["HostConfig"]["NetworkMode"]
    return bool(network == f"container:{box.id}" and _started(service) >= _started(box))


def _started(container: Container) -> datetime:
    return datetime.fromisoformat(str(container.attrs["State"]["StartedAt"])[:26].rstrip("Z"))


def _digest(service: ServiceSpec) -> str:
    return hashlib.sha256(json.dumps(asdict(service), sort_keys=True).encode()).hexdigest()[:16]


def _log(container: Container) -> str:
    return _plain(container.logs(tail=20))


def _plain(output: bytes) -> str:
    return strip_terminal(output.decode("utf-8", "replace")).strip()[-SAID_CHARACTERS:]


def _said(error: Exception) -> str:
    said = error.explanation if isinstance(error, APIError) and error.explanation else str(error)
    return str(said).strip().rstrip(".")[-SAID_CHARACTERS:]
