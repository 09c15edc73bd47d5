"""The worker: routing, turns, merges, on one host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import httpx2
from openai import AsyncOpenAI

from classifier.decision import Classifier
from classifier.fast_model import FastModel
from classifier.plain_words import KnownModel, PlainWords
from classifier.reading import Reading
from classifier.routing import Routing
from deploy.core import Core
from deploy.host import HostPlaces, host_parts, image_builder
from sandbox.agent.chat_completions import ChatCompletionsModel, ModelChain
from sandbox.agent.model import Model
from sandbox.agent.model_catalogue import ModelCatalogue, load_models
from sandbox.agent.model_gateway import BROKER_MODELS, PLACEHOLDER_KEY, broker_http_client
from sandbox.agent.provider_client import provider_client
from sandbox.agent.tools import discover_tools
from sandbox.driver import DriverParts, TurnDriver
from sandbox.environments.protocol import Environment
from sandbox.halting import HaltWatch
from sandbox.images.jobs import ImageJobs
from sandbox.jobs import Jobs, JobTimes
from sandbox.merging import Merger
from sandbox.preference import Preference
from sandbox.sharing import Sharing
from sandbox.sign_of_life import SignOfLife
from sandbox.worker import WorkerProcess
from session.broker import model_headers
from session.concurrency import Concurrency
from session.hosts import Hosts
from session.locks import Locks
from session.picks import Picks
from session.reconciler import Reconciler
from session.settings import Settings, SettingsError, parted
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
    places = HostPlaces(
        settings, core.catalogue, core.database, core.broker, core.switch, environment, core.pulse
    )
    host = host_parts(places, core.log, core.leases)
    locks, hosts = Locks(core.database), Hosts(core.database, settings.lease_seconds)
    parts = DriverParts(
        environment=environment,
        boxes=host.boxes,
        forge=host.forge,
        doors=host.doors,
        snapshots=host.snapshots,
        disk=host.disk,
        images=host.images,
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
        places=host.places,
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
        preference=Preference(environment, host.record, hosts, core.leases, core.queue),
        driver=TurnDriver(parts),
        merger=Merger(
            core.log,
            core.effects,
            core.catalogue,
            host.forge,
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
        reaper=host.reaper,
        snapshots=host.snapshots,
        pool=host.pool,
        sharing=Sharing(environment, host.snapshots, host.builds),
        sign=SignOfLife(environment, hosts, settings.heartbeat_seconds),
        disk=host.disk,
        images=ImageJobs(
            image_builder(places),
            host.disk,
            core.catalogue,
            locks,
            timedelta(seconds=settings.lease_seconds),
        ),
        image_interval_minutes=settings.image_interval_minutes,
        concurrency=settings.worker_concurrency,
        turn_limit_seconds=settings.turn_limit_seconds,
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
