"""An engine that tests may hurt, and processes of Bellhop whose boxes are its containers.

Both stand on disks of their own, which a test can fill. What a session's agent does is told by the words with
which the session is opened.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

from docker import DockerClient

from deploy.demo.chat_requests import ChatRequest
from deploy.demo.replies import Reply
from sandbox.environments.protocol import SESSION_LABEL
from sandbox.images.base_image import DEBIAN_RELEASE, recipe
from sandbox.session_boxes import box_name
from session import events as e
from session.view import SessionView
from tests.faults.processes import MODEL, House, house
from tests.faults.relay import Relay, relay
from tests.provision.docker_engine import DockerEngine, mount_memory, own_engine
from tests.provision.valkey import ValkeyServer

MIB = 1024 * 1024
ENGINE_BYTES, ENGINE_FILES = 640 * MIB, 40_000
HOME_BYTES, HOME_FILES = 48 * MIB, 20_000
FILLER = "filler"
WAIT = "until test -e /bellhop/in/{0}; do sleep 0.02; done"
SETUP = f"echo once >>~/set-up; touch /run/bellhop/setting-up; {WAIT.format('set-up')}"


@dataclass(slots=True)
class Stage:
    """The engine with its disk, the house that works with it, and the way between them."""

    engine: DockerEngine
    disk: Path
    way: Relay
    house: House
    _steps: dict[str, tuple[Reply, ...]] = field(default_factory=dict)

    async def opened(self, words: str, *steps: Reply, set_up: bool = True) -> str:
        """A session opened with these words, in which the model takes these steps, over all its turns.

        Without `set_up` the repository's set-up waits in it for `go(session_id, "set-up")`.
        """
        self._steps[words] = steps
        session_id = await self.house.opened(words)
        if set_up:
            self.go(session_id, "set-up")
        return session_id

    async def make_whole(self) -> None:
        """What a test that failed may have left: the engine runs again, and the disks have room."""
        self.engine.live_restore = False
        await self.way.start()
        for disk in (self.disk, self.house.home):
            (disk / FILLER).unlink(missing_ok=True)
        await asyncio.to_thread(self.engine.start)

    async def restart(self, *, live_restore: bool) -> None:
        """The engine ends and starts again; the boxes live on only where it lets them."""
        self.engine.live_restore = live_restore
        await asyncio.to_thread(self.engine.kill if live_restore else self.engine.stop)
        await asyncio.to_thread(self.engine.start)

    def go(self, session_id: str, what: str) -> None:
        """What waits in the session's box for the file of that name, in its inbound directory, goes on."""
        inbound = self.house.home / "inbound" / box_name(session_id)
        inbound.mkdir(parents=True, exist_ok=True)
        (inbound / what).touch()

    def written(self, session_id: str, name: str) -> bool:
        """Whether the box has written a file of that name where the host sees it (/run/bellhop)."""
        home: Path = self.house.home
        return (home / "boxes" / "run" / box_name(session_id) / name).exists()

    async def prompt(self, session_id: str) -> None:
        """Ada asks for more in the session's thread."""
        view = await self.house.core.log.view(session_id)
        await self.house.console.people.say("Go on", "Ada", thread=view.origin.thread)

    async def finished(self, session_id: str, *, turns: int = 1) -> SessionView:
        """The state once that turn is finished."""
        await self.house.sees(session_id, lambda v: v.turns == turns)
        return await self.house.finished(session_id)

    async def returned(self, session_id: str) -> list[e.ToolReturned]:
        """What the session's calls of bash came to."""
        events = await self.house.events(session_id)
        return [event for event in events if isinstance(event, e.ToolReturned) and event.tool == "bash"]

    async def called(self, session_id: str, number: int) -> None:
        """Returns once the session's call of that number has begun."""
        log, seen = self.house.core.log, 0
        async for record in log.follow(session_id):
            seen += isinstance(record.event, e.ToolCalled)
            if seen == number:
                return

    def play(self, request: ChatRequest) -> Reply:
        """The next step of the session that asks."""
        asked = request.said_by("user")[0].text
        steps = next(steps for words, steps in self._steps.items() if words in asked)
        return steps[sum(message.role == "assistant" for message in request.messages)]

    def containers(self, session_id: str) -> list[str]:
        """The ids of the session's containers."""
        with closing(DockerClient(base_url=self.engine.host)) as client:
            label = f"{SESSION_LABEL}={session_id}"
            return [str(each.id) for each in client.containers.list(all=True, filters={"label": label})]

    def remove_container(self, session_id: str) -> None:
        """The session's only container is gone, with all that ran in it."""
        [found] = self.containers(session_id)
        with closing(DockerClient(base_url=self.engine.host)) as client:
            client.containers.get(found).remove(force=True)

    def snapshots(self) -> set[str]:
        """The references of all snapshots in the engine."""
        with closing(DockerClient(base_url=self.engine.host)) as client:
            tags = [tag for image in client.images.list() for tag in image.tags]
        return {tag for tag in tags if "snapshot" in tag}


@asynccontextmanager
async def stage(small_image: Path, database_url: str, redis: ValkeyServer) -> AsyncIterator[Stage]:
    """The engine runs, and a worker is ready whose base image is the small one."""
    with own_engine(ENGINE_BYTES, ENGINE_FILES) as (engine, directory):
        home = directory / "home"
        mount_memory(home, HOME_BYTES, HOME_FILES)
        cache = home / "boxes" / "cache"
        cache.mkdir(parents=True)
        # From where the product itself puts its base image together.
        (cache / f"base-{DEBIAN_RELEASE}-{recipe()}.tar").symlink_to(small_image)
        await asyncio.to_thread(engine.start)
        async with relay(directory / "way.sock", engine.host) as way:
            settings = {"SANDBOX_BACKEND": "docker", "DOCKER_HOST": way.address}
            repository = {"setup": [SETUP]}
            async with house(
                database_url, redis, repository=repository, settings=settings, home=home
            ) as made:
                made_stage = Stage(engine, directory / "disk", way, made)
                made.model.play(MODEL, made_stage.play)
                try:
                    yield made_stage
                finally:
                    # The house takes its boxes away, and needs the engine for that.
                    await asyncio.to_thread(engine.start)


def filled(disk: Path) -> Path:
    """A file that takes all the room there is on that disk."""
    filler = disk / FILLER
    free = os.statvfs(disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)
    return filler
