"""What the containers and images of one installation use of their engine's host. All of it blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from docker import DockerClient
from docker.errors import APIError

from sandbox.environments.docker_containers import OWNER_LABEL, SNAPSHOT_REPOSITORY
from sandbox.environments.docker_images import KEPT_REPOSITORY
from sandbox.environments.protocol import NAME_LABEL, PURPOSE_LABEL, SESSION_LABEL
from sandbox.environments.service import BESIDE_LABEL, SERVICE_LABEL
from sandbox.environments.usage import HostUse, Stored, Use

# Page cache that can be taken back at once; the first is cgroup version 2, the other version 1.
CACHE_FIGURES = ("inactive_file", "total_inactive_file")

# Source: ps(1); resident memory in KiB, processor time in seconds.
COLUMNS = "-eo pid,rss,times"

Figures = Mapping[str, Any]
"""A part of an engine's answer, as the SDK gives it."""


class DockerUsage:
    """That of `owner`'s, in the engine of `client`."""

    def __init__(self, client: DockerClient, owner: str) -> None:
        self._client = client
        self._owner = owner

    def read(self) -> HostUse:
        """Everything, as the engine counts it; it takes the longer the more there is.

        Source: Docker Engine API, GET /system/df and GET /containers/{id}/stats.
        """
        told = self._client.df()
        own = [each for each in told["Containers"] or [] if self._is_own(each)]
        sessions = {
            name.removeprefix("/"): (each["Labels"][NAME_LABEL], each["Labels"].get(SESSION_LABEL, ""))
            for each in own
            for name in each["Names"]
            if NAME_LABEL in each["Labels"]
        }
        images = [each for each in told["Images"] or [] if each.get("RepoTags")]
        return HostUse(
            running=[self._use(each, sessions) for each in own],
            snapshots=_stored(images, f"{SNAPSHOT_REPOSITORY}-{self._owner}-"),
            images=_stored([each for each in images if self._is_own(each)], KEPT_REPOSITORY),
        )

    def _is_own(self, each: Figures) -> bool:
        return bool((each.get("Labels") or {}).get(OWNER_LABEL) == self._owner)

    def _use(self, container: Figures, sessions: Mapping[str, tuple[str, str]]) -> Use:
        labels = container["Labels"]
        beside = labels.get(BESIDE_LABEL, "")
        box, session_id = (labels.get(NAME_LABEL), labels.get(SESSION_LABEL, ""))
        if box is None:
            box, session_id = sessions.get(beside, (beside, ""))
        running = container["State"] == "running"
        memory, seconds = self._now(container["Id"]) if running else (None, 0.0)
        return Use(
            box=box,
            session_id=session_id,
            running=running,
            memory_bytes=memory,
            cpu_seconds=seconds,
            disk_bytes=int(container.get("SizeRw") or 0),
            purpose=labels.get(PURPOSE_LABEL, ""),
            service=labels.get(SERVICE_LABEL, ""),
        )

    def _now(self, container: str) -> tuple[int | None, float]:
        """Memory without what can be taken back, and seconds of a processor since its start."""
        try:
            stats = self._client.api.stats(container, stream=False, one_shot=True)
        except APIError as error:
            if error.status_code not in (404, 409):  # it has ended meanwhile
                raise
            return None, 0.0
        memory = stats.get("memory_stats") or {}
        if "usage" not in memory:
            return self._of_processes(container)
        figures = memory.get("stats") or {}
        cache = next((figures[name] for name in CACHE_FIGURES if name in figures), 0)
        used = stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0)
        return max(0, int(memory["usage"]) - int(cache)), used / 1e9

    def _of_processes(self, container: str) -> tuple[int | None, float]:
        """The same, summed over what runs in it now: of one in another's network the engine tells no more.
        The seconds are whole ones of each process, and those of what has ended are not among them."""
        try:
            told = self._client.api.top(container, ps_args=COLUMNS)
        except APIError as error:
            if error.status_code not in (404, 409, 500):  # it has ended meanwhile, or the host has no `ps`
                raise
            return None, 0.0
        figures = [[int(figure) for figure in line] for line in told["Processes"] or []]
        return sum(rss for _, rss, _ in figures) * 1024, float(sum(seconds for _, _, seconds in figures))


def _stored(images: list[Figures], start: str) -> Stored:
    """Those whose name begins so. What an image shares with others is not its own."""
    found = [each for each in images if any(name.startswith(start) for name in each["RepoTags"])]
    return Stored(len(found), sum(int(each["Size"]) - max(0, int(each["SharedSize"])) for each in found))
