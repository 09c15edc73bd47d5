"""Services in containers beside a box, in its network namespace: no address, no way out but its door."""

from __future__ import annotations

from datetime import datetime

from docker import DockerClient
from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.containers import Container

from sandbox.environments.docker_containers import ENGINE_ERRORS, OWNER_LABEL
from sandbox.environments.hardening import BOX_USER, SECCOMP_PROFILE, hardened_options
from sandbox.environments.protocol import SandboxLimits
from sandbox.environments.service import (
    BESIDE_LABEL,
    SERVICE_LABEL,
    ServiceFailed,
    ServiceSpec,
    until_ready,
)

GIB = 1024**3
LIMITS = SandboxLimits(memory_bytes=1 * GIB, cpus=1.0, pids=256)
DATA_BYTES = 512 * 1024**2


class DockerServices:
    """The services of `owner`'s boxes. All of it blocks."""

    def __init__(self, client: DockerClient, owner: str, runtime: str | None) -> None:
        self._client = client
        self._owner = owner
        self._runtime = runtime

    def open(self, box: Container, service: ServiceSpec) -> None:
        """The service runs beside the running box, and answers. Raises: ServiceFailed."""
        try:
            container = self._running(box, service)
            if service.ready:
                self._wait(container, service)
        except ENGINE_ERRORS as error:
            raise ServiceFailed(f"The service {service.name} could not be started: {_said(error)}") from error

    def end(self, box_name: str, *, remove: bool) -> None:
        """No service of the box runs any more; removed, nothing of it is left either."""
        for container in self._of(box_name):
            try:
                container.remove(force=True, v=True) if remove else container.kill()
            except APIError as error:
                # It has ended, or somebody else removes it.
                if error.status_code not in (404, 409):
                    raise

    def _running(self, box: Container, service: ServiceSpec) -> Container:
        title = f"{box.name}.{service.name}"
        try:
            found = self._client.containers.get(title)
            if found.status == "running" and _follows(found, box):
                return found
            found.remove(force=True, v=True)
        except NotFound:
            pass
        container = self._create(box, service, title)
        container.start()
        container.reload()
        return container

    def _create(self, box: Container, service: ServiceSpec, title: str) -> Container:
        image = self._image(service)
        options = dict(hardened_options(LIMITS, (), self._runtime, SECCOMP_PROFILE.read_text()))
        options["network_mode"] = f"container:{box.id}"
        # What the image keeps its data in belongs to another user, and need not outlive the session.
        data = dict.fromkeys(image, f"rw,nosuid,nodev,mode=1777,size={DATA_BYTES}")
        options["tmpfs"] = {**options["tmpfs"], **data}
        return self._client.containers.create(
            service.image,
            list(service.command) or None,
            name=title,
            environment=dict(service.env),
            labels={
                OWNER_LABEL: self._owner,
                SERVICE_LABEL: service.name,
                BESIDE_LABEL: str(box.name),
            },
            **options,
        )

    def _image(self, service: ServiceSpec) -> list[str]:
        """The image is in the engine; the paths that it declares as volumes."""
        try:
            found = self._client.images.get(service.image)
        except ImageNotFound:
            name, _, tag = service.image.rpartition(":")
            pulled = (name, tag) if name and "/" not in tag else (service.image, "latest")
            try:
                found = self._client.images.pull(*pulled)
            except ENGINE_ERRORS as error:
                raise ServiceFailed(
                    f"The service {service.name} has no image {service.image} here, and it could not be fetched "
                    f"({_said(error)}). Let the engine reach its registry, or load the image under that name."
                ) from error
        return sorted((found.attrs.get("Config") or {}).get("Volumes") or {})

    def _wait(self, container: Container, service: ServiceSpec) -> None:
        script = until_ready(service.ready, service.ready_seconds)
        code, output = container.exec_run(["sh", "-c", script], user=f"{BOX_USER}:{BOX_USER}")
        if code == 0:
            return
        said = output.decode("utf-8", "replace").strip()
        log = container.logs(tail=5).decode("utf-8", "replace").strip()
        raise ServiceFailed(
            f"The service {service.name} did not answer within {service.ready_seconds} seconds. "
            f"`{service.ready}` said: {said[-300:] or 'nothing'}. The service said: {log[-500:] or 'nothing'}"
        )

    def _of(self, box_name: str) -> list[Container]:
        title = f"bellhop-{self._owner}-{box_name}"
        labels = [f"{OWNER_LABEL}={self._owner}", f"{BESIDE_LABEL}={title}"]
        return list(
            self._client.containers.list(all=True, filters={"label": labels}, ignore_removed=True)
        )


def _follows(service: Container, box: Container) -> bool:
    """Whether the service is in the network of the box as it runs now: a box that starts again has a new one."""
    network = service.attrs["HostConfig"]["NetworkMode"]
    return network == f"container:{box.id}" and _started(service) >= _started(box)


def _started(container: Container) -> datetime:
    return datetime.fromisoformat(str(container.attrs["State"]["StartedAt"])[:26].rstrip("Z"))


def _said(error: Exception) -> str:
    said = error.explanation if isinstance(error, APIError) and error.explanation else str(error)
    return str(said).strip()[-300:]
