"""A broker's gateway on a real socket before a scripted provider, for one session on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx2

from sandbox.agent.chat_completions import ChatCompletionsModel, Patience
from sandbox.agent.model_catalogue import ModelCatalogue, ModelSpec, Prices
from sandbox.agent.model_gateway import (
    BROKER_MODELS,
    PLACEHOLDER_KEY,
    broker_http_client,
)
from sandbox.broker import budgets
from sandbox.broker.budgets import BudgetDesk, budget_operations
from sandbox.broker.gateway import ModelGateway, Provider, gateway_routes
from sandbox.broker.operations import application
from sandbox.broker.socket_server import serving
from session import events as e
from session.audit import Audit
from session.broker import Broker, model_headers
from session.catalogue import Approvals, Catalogue, Repository
from session.database import Database
from session.halt import KillSwitch
from session.log import Log
from session.people import Origin, Person, Prompt
from session.policy import Budgets
from session.pulse import Pulse
from session.spending import Spending
from tests.emulators.model.emulator import ModelEmulator
from tests.provision.databases import tables_at

PRICED = ModelSpec(
    "m", 100_000, 1000, Prices(Decimal(1), Decimal(0), Decimal(2)), vision=False, reasoning=False
)
UNPRICED = ModelSpec("u", 100_000, 1000, None, vision=False, reasoning=False)
ADA = Person(id="p-ada", name="Ada")
SESSION = "s-1"


@dataclass(frozen=True, slots=True)
class GatewayStage:
    """All of it; `http` goes to the broker's socket, `model` asks for the session through it."""

    home: Path
    emulator: ModelEmulator
    database: Database
    log: Log
    spending: Spending
    desk: BudgetDesk
    switch: KillSwitch
    broker: Broker
    http: httpx2.AsyncClient
    repository: Repository

    def model(self, spec: ModelSpec = PRICED) -> ChatCompletionsModel:
        """A worker's client for the session, which tries twice without waiting."""
        return ChatCompletionsModel(
            BROKER_MODELS,
            PLACEHOLDER_KEY,
            spec,
            http_client=self.http,
            headers=model_headers(SESSION, "agent"),
            patience=Patience(attempts=2, first_delay_seconds=0.01, longest_delay_seconds=0.01),
        )

    async def audited(self) -> list[tuple[str, str, str, str]]:
        """Action, target, session and outcome of what is on the audit."""
        rows = await self.database.rows("SELECT action, target, session_id, outcome FROM audit ORDER BY id")
        return [(row["action"], row["target"], row["session_id"], row["outcome"]) for row in rows]


@asynccontextmanager
async def gateway_stage(
    database_url: str,
    home: Path,
    *,
    limits: Budgets | None = None,
    approvals: Approvals | None = None,
    money_usd: Decimal | None = None,
    audit_away: bool = False,
) -> AsyncIterator[GatewayStage]:
    """The stage as long as the context. `audit_away`: the audit lies in a database that takes no rows."""
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(ModelEmulator())
        database = await stack.enter_async_context(await Database.open(await tables_at(database_url)))
        pulse = await stack.enter_async_context(Pulse(None))
        log, spending, switch = Log(database, pulse), Spending(database), KillSwitch(database)
        repository = Repository(
            slug="acme/web",
            forge="local",
            url="/srv/web.git",
            budgets=limits or Budgets(),
            approvals=approvals or Approvals(),
        )
        await log.create(SESSION, opening())
        desk = BudgetDesk(spending, log, Catalogue([repository]), money_usd)
        provider = Provider(emulator.base_url, emulator.api_key)
        models = ModelCatalogue({"m": PRICED, "u": UNPRICED})
        audit = Audit(await stack.enter_async_context(await _unwritable(home)) if audit_away else database)
        gateway = ModelGateway(provider, models, desk, audit, switch)
        await stack.enter_async_context(gateway)
        app = application(budget_operations(desk), budgets.KINDS, gateway_routes(gateway))
        socket = home / "broker.sock"
        await stack.enter_async_context(serving(app, socket, {}))
        broker = await stack.enter_async_context(Broker(socket))
        http = await stack.enter_async_context(broker_http_client(socket))
        yield GatewayStage(home, emulator, database, log, spending, desk, switch, broker, http, repository)


async def _unwritable(home: Path) -> Database:
    database = await Database.open(await tables_at(f"sqlite://{home / 'audit.db'}"))
    await database.rows("PRAGMA query_only = 1")
    return database


def opening() -> list[e.Event]:
    """A session of Ada's whose repository is known."""
    return [
        e.SessionOpened(title="Fix it", origin=Origin(platform="web"), requester=ADA),
        e.PromptQueued(prompt=Prompt(id="p1", text="Fix it", author=ADA)),
        e.RepositoryChosen(slug="acme/web", branch="main", how="named", reason="it was named"),
    ]
