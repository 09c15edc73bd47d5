"""The worker: routing, turns, merges, on one host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx2
from openai import AsyncOpenAI

from classifier.decision import Classifier
from classifier.fast_model import FastModel
from classifier.plain_words import KnownModel, PlainWords
from classifier.reading import Reading
from classifier.routing import Routing
from deploy.core import Core
from sandbox.agent.chat_completions import ChatCompletionsModel, ModelChain
from sandbox.agent.model import Model
from sandbox.agent.model_catalogue import ModelCatalogue, load_models
from sandbox.agent.model_gateway import BROKER_MODELS, PLACEHOLDER_KEY, broker_http_client
from sandbox.agent.provider_client import provider_client
from sandbox.agent.tools import discover_tools
from sandbox.broker.client import BrokerForge
from sandbox.bundles import Bundles
from sandbox.disk_room import DiskLimits
from sandbox.disk_watch import DiskWatch
from sandbox.doors import WorkerDoors
from sandbox.driver import DriverParts, Places, TurnDriver
from sandbox.environments.protocol import Environment
from sandbox.halting import HaltWatch
from sandbox.images.builder import ImageBuilder
from sandbox.images.jobs import ImageJobs
from sandbox.images.ready_images import ReadyImages
from sandbox.images.reaping import ImageReaper
from sandbox.images.running_build import BuilderParts
from sandbox.jobs import Jobs, JobTimes
from sandbox.merging import Merger
from sandbox.preference import Preference
from sandbox.reaper import Reaper
from sandbox.session_boxes import SessionBoxes
from sandbox.sharing import Sharing
from sandbox.sign_of_life import SignOfLife
from sandbox.snapshots import SnapshotKeeper
from sandbox.warm_pool.making import WarmParts
from sandbox.warm_pool.pool import WarmPool
from sandbox.worker import WorkerProcess
from session.boxes import Boxes
from session.broker import Broker, model_headers
from session.catalogue import Catalogue
from session.concurrency import Concurrency
from session.database import Database
from session.halt import KillSwitch
from session.hosts import Hosts
from session.image_builds import ImageBuilds
from session.locks import Locks
from session.picks import Picks
from session.reconciler import Reconciler
from session.settings import Settings, SettingsError, parted
from session.snapshots import Snapshots
from session.warm_boxes import WarmBoxes
from session.warm_hints import WarmHints
from skills.library import built_in_source, folder_source

_NO_KEY = (
    "OPENAI_API_KEY is missing: the model is asked with it. Example: OPENAI_API_KEY=sk-…; any "
    "OpenAI-compatible endpoint will do (OPENAI_BASE_URL)"
)


async def work(core: Core, environment: Environment) -> None:
    """Routes requests and drives turns and merges on this host, until cancelled."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(broker_http_client(core.settings.broker_address))
        models = _Models(core.settings, load_models(), http)
        asked = await stack.enter_async_context(
            AsyncOpenAI(base_url=BROKER_MODELS, api_key=PLACEHOLDER_KEY, max_retries=0, http_client=http)
        )
        fast = FastModel(asked, core.settings.classifier_model)
        choosing = Classifier(core.catalogue, fast)
        words = PlainWords(core.catalogue, fast, _known_models(models.catalogue), core.settings.agent_model)
        reading = Reading(core.log, core.commands, words, Locks(core.database))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(HaltWatch(core.switch, environment).run(), name="halt watch")
            await _worker(core, environment, choosing, reading, models).run()


def _known_models(catalogue: ModelCatalogue) -> list[KnownModel]:
    """The models that may be switched to, with their prices."""
    return [
        KnownModel(spec.id, spec.prices.input + spec.prices.output if spec.prices else None)
        for spec in catalogue.specs.values()
    ]


def _worker(
    core: Core, environment: Environment, choosing: Classifier, reading: Reading, models: _Models
) -> WorkerProcess:
    settings = core.settings
    forge = BrokerForge(core.broker, settings.bellhop_home / "exchange")
    places = Places.under(settings.bellhop_home)
    doors = WorkerDoors(core.broker, environment, places.inbound)
    hosts = Hosts(core.database, settings.lease_seconds)
    snapshots = SnapshotKeeper(environment, core.log, Snapshots(core.database))
    builds, locks = ImageBuilds(core.database), Locks(core.database)
    images = ReadyImages(environment, builds)
    limits = DiskLimits.of(settings)
    waiting, hints = WarmBoxes(core.database), WarmHints(core.database, core.pulse)
    warm = WarmParts(environment, forge, doors, images, builds, waiting, hints, places.inbound, limits)
    pool = WarmPool(warm, core.catalogue, locks, core.switch, settings.warm_boxes)
    record = Boxes(core.database)
    boxes = SessionBoxes(environment, record, pool)
    unused = ImageReaper(environment, builds, locks, core.catalogue, doors, places.inbound)
    reaper = Reaper(environment, boxes, pool, core.log, core.leases, doors, snapshots, places.inbound, unused)
    disk = DiskWatch(environment, boxes, core.log, reaper, pool, snapshots, unused, limits)
    parts = DriverParts(
        environment=environment,
        boxes=boxes,
        forge=forge,
        doors=doors,
        snapshots=snapshots,
        disk=disk,
        images=images,
        broker=core.broker,
        switch=core.switch,
        catalogue=core.catalogue,
        directory=core.directory,
        effects=core.effects,
        artifacts=core.artifacts,
        pulse=core.pulse,
        models=models.catalogue,
        model=models.client,
        tools=discover_tools(),
        skills=(folder_source("organisation", settings.bellhop_home / "skills"), built_in_source()),
        settings=settings,
        places=places,
    )
    jobs = Jobs(
        log=core.log,
        leases=core.leases,
        queue=core.queue,
        switch=core.switch,
        concurrency=Concurrency(
            core.database,
            core.log,
            most=settings.max_sessions,
            most_per_person=settings.max_sessions_per_person,
        ),
        preference=Preference(environment, record, hosts, core.leases, core.queue),
        driver=TurnDriver(parts),
        merger=Merger(
            core.log,
            core.effects,
            core.catalogue,
            forge,
            pause_seconds=settings.pause_seconds,
        ),
        times=JobTimes(settings.heartbeat_seconds, settings.lease_seconds, settings.turn_limit_seconds),
    )
    picks = Picks(core.database)
    routing = Routing(
        core.log, core.commands, core.catalogue, choosing, core.warming, core.customs.channels, picks
    )

    async def route(session_id: str) -> None:
        if not await core.switch.halted():
            await routing.route_session(session_id)

    async def read(session_id: str) -> None:
        if not await core.switch.halted():
            await reading.read_words(session_id)

    return WorkerProcess(
        redis_url=core.redis_url,
        jobs=jobs,
        route_session=route,
        read_words=read,
        reconciler=Reconciler(
            core.database,
            core.log,
            core.leases,
            core.queue,
            grace_seconds=settings.sweep_seconds,
            pause_seconds=settings.pause_seconds,
        ),
        reaper=reaper,
        snapshots=snapshots,
        pool=pool,
        sharing=Sharing(environment, snapshots, builds),
        sign=SignOfLife(environment, hosts, settings.heartbeat_seconds),
        disk=disk,
        images=ImageJobs(
            image_builder(_build_places(core, environment)),
            disk,
            core.catalogue,
            locks,
            timedelta(seconds=settings.lease_seconds),
        ),
        image_interval_minutes=settings.image_interval_minutes,
        concurrency=settings.worker_concurrency,
        turn_limit_seconds=settings.turn_limit_seconds,
    )


def _build_places(core: Core, environment: Environment) -> BuildPlaces:
    return BuildPlaces(core.settings, core.catalogue, core.database, core.broker, core.switch, environment)


@dataclass(frozen=True, slots=True)
class BuildPlaces:
    """What it takes to build images on this host."""

    settings: Settings
    catalogue: Catalogue
    database: Database
    broker: Broker
    switch: KillSwitch
    environment: Environment


def image_builder(places: BuildPlaces) -> ImageBuilder:
    """What builds images of repositories on this host."""
    settings = places.settings
    own = Places.under(settings.bellhop_home)
    return ImageBuilder(
        BuilderParts(
            environment=places.environment,
            forge=BrokerForge(places.broker, settings.bellhop_home / "exchange"),
            doors=WorkerDoors(places.broker, places.environment, own.inbound),
            bundles=Bundles(own.bundles),
            builds=ImageBuilds(places.database),
            locks=Locks(places.database),
            switch=places.switch,
            catalogue=places.catalogue,
            inbound=own.inbound,
            lease=timedelta(seconds=settings.lease_seconds),
            limits=DiskLimits.of(settings),
        )
    )


@asynccontextmanager
async def fast_model(settings: Settings, *, needed: bool = True) -> AsyncIterator[FastModel]:
    """The fast model of the settings, as long as the context. Not `needed`: it is never asked.

    Raises: SettingsError, when there is no model key.
    """
    if needed and not settings.openai_api_key:
        raise SettingsError(_NO_KEY)
    async with provider_client(
        settings.openai_base_url, settings.openai_api_key or PLACEHOLDER_KEY
    ) as client:
        yield FastModel(client, settings.classifier_model)


class _Models:
    """Clients of models, by way of the broker, with the fallbacks of the settings behind each."""

    def __init__(self, settings: Settings, catalogue: ModelCatalogue, http: httpx2.AsyncClient) -> None:
        self.catalogue = catalogue
        self._fallbacks = parted(settings.fallback_models)
        self._http = http

    def client(self, model_id: str, session_id: str) -> Model:
        """The client of the model with that id, for that session."""
        names = dict.fromkeys([model_id, *self._fallbacks])
        headers = model_headers(session_id, "agent")
        return ModelChain(
            [
                ChatCompletionsModel(
                    BROKER_MODELS,
                    PLACEHOLDER_KEY,
                    self.catalogue.spec(name),
                    http_client=self._http,
                    headers=headers,
                )
                for name in names
            ]
        )
