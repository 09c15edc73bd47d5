"""Bellhop as separate processes for tests: real workers that can be killed, a chat and a model that cannot.

The chat is a console in the test's own process, over the same PostgreSQL and Redis as the workers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import yaml

from bot.platforms.console.platform import ConsolePlatform
from bot.platforms.console.thread import ConsoleMessage
from deploy import chat
from deploy.boxes import open_environment
from deploy.core import Core, open_core
from sandbox.session_boxes import box_name
from session import events as e
from session.catalogue import Catalogue
from session.settings import Settings
from session.view import SessionView
from tests.deploy.accounts import Account
from tests.emulators.model.emulator import ModelEmulator
from tests.faults.waiting import until
from tests.provision import forks
from tests.provision.forks import Fork
from tests.provision.places import CHECKOUT, temporary_home
from tests.provision.valkey import ValkeyServer
from tests.sandbox.workbench import Workbench

MODEL = "scripted"
SLUG = "acme/billing"
Kind = TypeVar("Kind", bound=e.Event)
LEASE_SECONDS = 3
STEADY = {"LEASE_SECONDS": "30"}
"""For houses in which no worker dies: one that has to wait for a busy machine keeps what it has."""

PATIENCE_SECONDS = 60.0
END_SECONDS = 60.0
SHOWN_CHARACTERS = 8_000
FILES: Mapping[str, str | bytes | None] = {
    "README.md": "# Billing\n",
    "total.py": "def total(lines):\n    return sum(lines) + 1\n",
}


class Program:
    """A real process of Bellhop. `log` holds what it says."""

    def __init__(self, process: asyncio.subprocess.Process | Fork, log: Path) -> None:
        self._process = process
        self.log = log

    @classmethod
    async def start(
        cls, name: str, environment: Mapping[str, str], log: Path, *, account: Account | None = None
    ) -> Program:
        """`bellhop <name>` under that environment and no other, as another user where one is named."""
        with log.open("ab") as output:
            if account is None:
                return cls(await forks.bellhop(name, environment=environment, output=output), log)
            words = account.command(sys.executable, "-m", "deploy.command", name)
            process = await asyncio.create_subprocess_exec(
                *words,
                cwd=CHECKOUT,
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            return cls(process, log)

    @property
    def said(self) -> str:
        """All that it has said."""
        return self.log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """A signal to this process."""
        self._process.send_signal(number)

    async def kill(self) -> None:
        """SIGKILL; returns once it is gone."""
        with suppress(ProcessLookupError):
            self.send(signal.SIGKILL)
        await self._process.wait()

    async def end(self) -> int:
        """SIGTERM; returns its exit code, within a bound."""
        self.send(signal.SIGTERM)
        async with asyncio.timeout(END_SECONDS):
            return await self._process.wait()

    async def says(self, words: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Returns once it has said these words."""
        await until(lambda: words in self.said, f"{self.log.name} says {words}", seconds)


@dataclass(slots=True)
class House:
    """Processes over one database. `redis` may be killed and started again.

    `home` is BELLHOP_HOME, `logs` has what the processes say.
    """

    home: Path
    logs: Path
    environment: Mapping[str, str]
    core: Core
    console: ConsolePlatform
    model: ModelEmulator
    redis: ValkeyServer
    bare: Path
    programs: list[Program] = field(default_factory=list)
    broker: Program = field(init=False)

    async def start(self, name: str = "worker") -> Program:
        """One more process of that name."""
        log = self.logs / f"{name}-{len(self.programs)}.log"
        program = await Program.start(name, self.environment, log)
        self.programs.append(program)
        return program

    async def holder(self, session_id: str) -> Program:
        """The worker that holds the session's lease, or held it last."""
        rows = await self.core.database.rows("SELECT holder FROM leases WHERE session_id = ?", session_id)
        pid = int(str(rows[0]["holder"]).split(":")[1])
        return next(program for program in self.programs if program.pid == pid)

    async def opened(self, text: str = "Fix the total of invoices") -> str:
        """A session that Ada opened in a thread of its own."""
        said = await self.console.people.say(text, "Ada")
        session_id = await self.core.log.find_by_thread("console", "console", "console", said.thread)
        assert session_id is not None
        return session_id

    async def event(self, session_id: str, kind: type[Kind], *, after: int = 0) -> Kind:
        """The first event of that kind above `after`, as soon as it is in the log."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for record in self.core.log.follow(session_id, after):
                if isinstance(record.event, kind):
                    return record.event
        raise AssertionError("following a log does not end")

    async def sees(self, session_id: str, fits: Callable[[SessionView], bool]) -> SessionView:
        """The state, as soon as it fits."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for _ in self.core.log.follow(session_id):
                view = await self.core.log.view(session_id)
                if fits(view):
                    return view
        raise AssertionError("following a log does not end")

    async def finished(self, session_id: str) -> SessionView:
        """The state once the turn is finished; a failure ends the wait too, and the test."""
        view = await self.sees(session_id, lambda v: v.state in ("idle", "failed", "stopped"))
        assert view.state == "idle", view.failure
        return view

    async def hears(self, session_id: str, fits: Callable[[ConsoleMessage], bool]) -> ConsoleMessage:
        """The message in the session's thread that fits, as soon as it is there."""
        thread = (await self.core.log.view(session_id)).origin.thread
        return await self.console.people.wait_for(lambda m: m.thread == thread and fits(m), PATIENCE_SECONDS)

    async def messages(self, session_id: str, kind: str) -> list[ConsoleMessage]:
        """The messages of that kind in the session's thread."""
        thread = (await self.core.log.view(session_id)).origin.thread
        return [m for m in self.console.threads.in_thread(thread) if m.kind == kind]

    async def approve(self, session_id: str) -> None:
        """Ada approves what is asked in the thread, by its message."""
        asked = await self.hears(session_id, lambda message: message.asks)
        await self.console.people.react("✅", "Ada", on=asked.id)

    async def events(self, session_id: str) -> list[e.Event]:
        """All that is in the log."""
        return [record.event for record in await self.core.log.read(session_id)]

    async def assert_one_answer(self, session_id: str) -> None:
        """The answer is in the thread and is the only one, as is the card; nothing is left to tell."""
        await self.hears(session_id, lambda message: message.kind == "answer")
        await until(lambda: self._all_told(session_id), "everything is told")
        assert len(await self.messages(session_id, "answer")) == 1
        assert len(await self.messages(session_id, "card")) == 1

    async def _all_told(self, session_id: str) -> bool:
        pending = await self.core.outbox.pending("console", limit=1000)
        return all(item.session_id != session_id for item in pending)

    def workspace(self, session_id: str) -> Path:
        """Where the workspace of a session's local box is on this host."""
        return self.home / "boxes" / "boxes" / box_name(session_id) / "workspace"

    def pull_requests(self) -> list[str]:
        """The head branches of all pull requests on the local forge."""
        records = (self.home / "forge").rglob("pull_requests/*/*/[0-9]*.json")
        return [str(json.loads(path.read_text())["branch"]) for path in records]


@asynccontextmanager
async def house(
    database_url: str,
    redis: ValkeyServer,
    *,
    workers: int = 1,
    repository: Mapping[str, object] | None = None,
    settings: Mapping[str, str] | None = None,
    home: Path | None = None,
) -> AsyncIterator[House]:
    """A house in a directory of its own; its processes and boxes are gone afterwards.

    `repository` replaces entries of the catalogue's only repository, `settings` adds to the environment.
    `home` is an empty directory for all but the logs, which the caller removes.
    """
    logs = temporary_home()
    home = home or logs
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, logs, ignore_errors=True)
        bare = Workbench.new(home / "upstream")
        bare.commit("Add billing", dict(FILES))
        entry = {
            "slug": SLUG,
            "forge": "local",
            "url": str(bare.bare(home / "billing.git")),
            "approvals": {"pull_request": "ask"},
            **(repository or {}),
        }
        catalogue_file = home / "repositories.yaml"
        catalogue_file.write_text(yaml.safe_dump([entry]))
        model = await stack.enter_async_context(ModelEmulator(allow_leftovers=True))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "BELLHOP_HOME": str(home),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis.url,
            "REPOSITORIES_FILE": str(catalogue_file),
            "SECRET_KEY": "k" * 32,
            "OPENAI_API_KEY": model.api_key,
            "OPENAI_BASE_URL": model.base_url,
            "AGENT_MODEL": MODEL,
            "SANDBOX_BACKEND": "local",
            "LEASE_SECONDS": str(LEASE_SECONDS),
            "HEARTBEAT_SECONDS": "0.5",
            "SWEEP_SECONDS": "0.5",
            "PAUSE_SECONDS": "1",
            "FEED_INTERVAL_SECONDS": "0.2",
            "IMAGE_INTERVAL_MINUTES": "0",
            "WARM_BOXES": "0",
            "DISK_FREE_GB": "0",
            "WEB_PORT": "0",
            **(settings or {}),
        }
        own = Settings.load(environment)
        core = await stack.enter_async_context(open_core(own, Catalogue.load(catalogue_file)))
        console = ConsolePlatform()
        talking = asyncio.create_task(chat.chat(core, console), name="console")
        stack.push_async_callback(_cancelled, talking)
        made = House(home, logs, environment, core, console, model, redis, home / "billing.git")
        stack.push_async_callback(_closed, made)
        made.broker = await Program.start("broker", environment, logs / "broker.log")
        await made.broker.says("serving")
        for _ in range(workers):
            await made.start()
        yield made


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        await task


async def _closed(made: House) -> None:
    for program in [made.broker, *made.programs]:
        await program.kill()
        # Shown by pytest below a test that failed.
        logging.getLogger(__name__).warning("%s:\n%s", program.log.name, program.said[-SHOWN_CHARACTERS:])
    boxes = await open_environment(made.core.settings, prepare=False)
    for box in await boxes.list():
        await boxes.remove(box.name)
    await boxes.aclose()
