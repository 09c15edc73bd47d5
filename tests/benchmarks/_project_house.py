"""Bellhop with the projects in its catalogue, wired as in production, with a scripted model."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import yaml
from docker import DockerClient

from deploy.boxes import open_environment
from deploy.broker import broker
from deploy.core import Core, open_core
from deploy.demo.replies import Reply
from deploy.work import work
from sandbox.environments.protocol import Environment
from session import events as e
from session.boxes import Boxes
from session.catalogue import Catalogue
from session.image_builds import ImageBuild, ImageBuilds
from session.people import Identity, Origin, Prompt
from session.settings import Settings
from session.snapshots import Snapshots
from session.warm_boxes import WarmBoxes
from tests.benchmarks._project_sources import repository
from tests.benchmarks._projects import Project
from tests.emulators.model.emulator import ModelEmulator
from tests.provision import base_image, docker_engine
from tests.provision.databases import tables_at
from tests.provision.package_indexes import addresses
from tests.provision.places import temporary_home

AGENT = str(Settings.model_fields["agent_model"].default)
LOOK_MINUTES = 30
BUILD_SECONDS = 600
TURN_SECONDS = 600
SNAPSHOT_SECONDS = 120
WARM_SECONDS = 120
ADA = Identity(platform="console", workspace="w", account="ada", name="Ada", email="ada@example.com")


class NotAsExpected(RuntimeError):
    """A turn or a build ended otherwise than it has to; the message says how."""


@dataclass(frozen=True, slots=True)
class TurnSeen:
    """What a turn did. `first_call` is in seconds, from the prompt to the answer of its first tool call;
    `calls` are the answers in their order, `boxes` what was said of the box."""

    session_id: str
    first_call: float
    calls: Sequence[e.ToolReturned]
    boxes: Sequence[e.SandboxReady]


@dataclass(frozen=True, slots=True)
class ProjectHouse:
    """Everything that the projects' sessions need. `repositories` are bare ones, by slug; `base_bytes` is the
    size of the image that boxes start from without one of their repository."""

    core: Core
    environment: Environment
    model: ModelEmulator
    repositories: Mapping[str, Path]
    base_bytes: int

    @asynccontextmanager
    async def worker(self, *, images: bool, warm: int = 0) -> AsyncIterator[None]:
        """A worker at work; with `images` it looks at them when it starts, and regularly after that. So many
        boxes wait in its `warm` pool."""
        asked = {"image_interval_minutes": LOOK_MINUTES if images else 0, "warm_boxes": warm}
        settings = self.core.settings.model_copy(update=asked)
        running = asyncio.create_task(work(replace(self.core, settings=settings), self.environment))
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait({running})

    async def built(self, project: Project) -> ImageBuild:
        """The build that a worker's look at the images made of the project. Raises: NotAsExpected."""
        builds = ImageBuilds(self.core.database)
        async with asyncio.timeout(BUILD_SECONDS):
            while True:
                found = await builds.of(project.slug)
                if found and found[0].state == "ready":
                    return found[0]
                if found and found[0].state == "failed":
                    said = (await builds.log(found[0].id))[-2000:]
                    raise NotAsExpected(f"the image of {project.title}: {found[0].cause}\n{said}")
                await asyncio.sleep(0.2)

    async def warmed(self, project: Project) -> None:
        """A box of the project waits for a session."""
        boxes, place = WarmBoxes(self.core.database), await self.environment.place()
        async with asyncio.timeout(WARM_SECONDS):
            while True:
                # Asked for again, since one that was asked for a moment ago may have been another's.
                await self.core.queue.enqueue("warm_box", project.slug, int(time.monotonic() * 1000))
                waiting = await boxes.on(place)
                if any(box.repository == project.slug and box.state == "ready" for box in waiting):
                    return
                await asyncio.sleep(0.5)

    async def first_turn(self, project: Project, *steps: Reply) -> TurnSeen:
        """A new session of the project, its first turn over. Raises: NotAsExpected."""
        session_id = f"p{uuid4().hex[:10]}"
        person = await self.core.directory.resolve(ADA)
        prompt = Prompt(id=f"{session_id}-1", text="Run the tests", author=person)
        chosen = e.RepositoryChosen(slug=project.slug, branch="main", how="named", reason="it was named")
        opened = e.SessionOpened(title=prompt.text, origin=Origin(platform="web"), requester=person)
        self.model.script(AGENT, *steps)
        started = time.perf_counter()
        await self.core.log.create(session_id, [opened, e.PromptQueued(prompt=prompt), chosen])
        epoch = await self.core.leases.next_epoch(session_id)
        await self.core.queue.enqueue("run_turn", session_id, epoch)
        return await self._seen(session_id, 0, started)

    async def next_turn(self, session_id: str, *steps: Reply) -> TurnSeen:
        """A follow-up in the session, its turn over. Raises: NotAsExpected."""
        person = await self.core.directory.resolve(ADA)
        prompt = Prompt(id=f"{session_id}-{uuid4().hex[:6]}", text="Once more", author=person)
        after = (await self.core.log.view(session_id)).seq
        self.model.script(AGENT, *steps)
        started = time.perf_counter()
        await self.core.commands.add_prompt(session_id, prompt)
        return await self._seen(session_id, after, started)

    async def lose_box(self, session_id: str) -> None:
        """The session's box is gone as soon as there is a snapshot of what its last turn left."""
        turns = (await self.core.log.view(session_id)).turns
        snapshots, place = Snapshots(self.core.database), await self.environment.place()
        async with asyncio.timeout(SNAPSHOT_SECONDS):
            while True:
                if any(each.turns == turns for each in await snapshots.of(session_id, place)):
                    break
                await asyncio.sleep(0.05)
        box = await Boxes(self.core.database).of(session_id)
        assert box is not None
        await self.environment.remove(box.box)

    async def _seen(self, session_id: str, after: int, started: float) -> TurnSeen:
        first, calls, boxes = 0.0, list[e.ToolReturned](), list[e.SandboxReady]()
        async with (
            asyncio.timeout(TURN_SECONDS),
            aclosing(self.core.log.follow(session_id, after)) as records,
        ):
            async for record in records:
                event = record.event
                if isinstance(event, e.ToolReturned):
                    first = first or time.perf_counter() - started
                    calls.append(event)
                elif isinstance(event, e.SandboxReady):
                    boxes.append(event)
                elif isinstance(event, e.TurnFinished):
                    break
                elif isinstance(event, e.NoteAdded | e.TurnFailed | e.TurnPaused):
                    raise NotAsExpected(f"session {session_id}: {event}")
            # What the worker does after the last event belongs to this turn, and not to the next measurement.
            while True:
                if not await self.core.leases.held(session_id):
                    break
                await asyncio.sleep(0.02)
        return TurnSeen(session_id, first, calls, boxes)


@asynccontextmanager
async def house(projects: Sequence[Project]) -> AsyncIterator[ProjectHouse]:
    """The house; its boxes, images, snapshots and files are gone afterwards."""
    home = temporary_home()
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        host = stack.enter_context(docker_engine.engine())
        base = await asyncio.to_thread(base_image.ensure, host)
        model = await stack.enter_async_context(ModelEmulator())
        bare = {each.slug: await asyncio.to_thread(repository, each, home / "forge") for each in projects}
        settings = Settings.load(
            {
                "BELLHOP_HOME": str(home / "bellhop"),
                "DATABASE_URL": f"sqlite://{home / 'bellhop.db'}",
                "SECRET_KEY": secrets.token_hex(32),
                "OPENAI_API_KEY": model.api_key,
                "OPENAI_BASE_URL": model.base_url,
                "SANDBOX_BACKEND": "docker",
                "DOCKER_HOST": host,
                "SANDBOX_BASE_IMAGE": base,
                # A company's mirror may well have a private address.
                "EGRESS_NETWORKS": ",".join(await asyncio.to_thread(addresses, "python", "npm")),
            }
        )
        await tables_at(settings.database_address)
        catalogue = _catalogue(home / "repositories.yaml", projects, bare)
        core = await stack.enter_async_context(open_core(settings, catalogue))
        await stack.enter_async_context(broker(core))
        environment = await open_environment(settings)
        stack.push_async_callback(_emptied, core, environment)
        yield ProjectHouse(core, environment, model, bare, await asyncio.to_thread(_size, host, base))


def _size(host: str, image: str) -> int:
    with closing(DockerClient(base_url=host)) as client:
        return int(client.images.get(image).attrs["Size"])


def _catalogue(path: Path, projects: Sequence[Project], bare: Mapping[str, Path]) -> Catalogue:
    entries = [
        {"slug": each.slug, "forge": "local", "url": str(bare[each.slug]), "egress": [each.registry]}
        for each in projects
    ]
    path.write_text(yaml.safe_dump(entries))
    return Catalogue.load(path)


async def _emptied(core: Core, environment: Environment) -> None:
    for box in await environment.list():
        await environment.remove(box.name)
    for snapshot in await Snapshots(core.database).on(await environment.place()):
        await environment.remove_snapshot(snapshot.reference)
    for image in await environment.images():
        await environment.remove_image(image.reference)
    await environment.aclose()
