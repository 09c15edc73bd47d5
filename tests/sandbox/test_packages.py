"""Packages really fetched from the indexes that the box's own settings name, through a real door."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from sandbox.broker.door.addresses import Network
from sandbox.broker.door.doors import Doors
from sandbox.broker.door.parts import DoorParts
from sandbox.environments.protocol import Environment, Sandbox, SandboxSpec
from sandbox.package_hosts import ToolsLate, package_hosts
from session import events as e
from session.audit import Audit
from session.catalogue import Catalogue, Repository
from session.database import Database
from session.halt import KillSwitch
from session.log import Log
from session.people import Origin, Person, Prompt
from session.policy import EgressEntry
from session.pulse import Pulse
from tests.conftest import unavailable
from tests.provision.databases import tables_at
from tests.provision.places import temporary_home
from tests.sandbox.environments.boxes import run
from tests.sandbox.environments.conftest import BACKENDS, make_environment

pytestmark = pytest.mark.asyncio(loop_scope="module")

SESSION = "s1"
BOX = "bellhop-s1"
EVERYTHING: tuple[EgressEntry, ...] = ("python", "npm", "debian")
FETCH_SECONDS = 100.0
Hosts = Mapping[str, tuple[str, ...]]


class NoSecrets:
    """A vault with nothing in it."""

    async def get(self, name: str) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Guest:
    """A box with a door; `audited` tells the hosts that requests went to, by how they ended."""

    box: Sandbox
    hosts: Hosts
    doors: Doors
    database: Database

    async def audited(self) -> set[tuple[str, str]]:
        rows = await self.database.rows("SELECT target, outcome FROM audit WHERE action = 'egress.request'")
        return {(str(row["target"]), str(row["outcome"])) for row in rows}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BACKENDS)
async def environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Environment]:
    made = make_environment(request.param, request, tmp_path_factory.mktemp("boxes"))
    await made.check()
    yield made
    await made.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guest(environment: Environment) -> AsyncIterator[Guest]:
    """A box whose door lets the package presets through."""
    async with _guest(environment, EVERYTHING, BOX) as guest:
        yield guest


@asynccontextmanager
async def _guest(
    environment: Environment, egress: tuple[EgressEntry, ...], name: str
) -> AsyncIterator[Guest]:
    home = temporary_home()
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        home.chmod(0o711)
        repository = Repository(slug="acme/billing", forge="local", url="/srv/billing.git", egress=egress)
        url = await tables_at(f"sqlite://{home / 'bellhop.db'}")
        database = await stack.enter_async_context(await Database.open(url))
        log = Log(database, await stack.enter_async_context(Pulse(None)))
        await _opened(log, repository)
        hosts = await _asked(environment, home)
        parts = DoorParts(
            log,
            Catalogue([repository]),
            Audit(database),
            KillSwitch(database),
            NoSecrets(),
            networks=await asyncio.to_thread(_networks, hosts),
        )
        doors = Doors(home / "doors", parts)
        stack.push_async_callback(doors.aclose)
        door = await doors.open(SESSION, name, hosts)
        spec = SandboxSpec(SESSION, name, None, home / "in", door=door)
        stack.push_async_callback(environment.remove, name)
        box = await stack.enter_async_context(await environment.open(spec))
        yield Guest(box, hosts, doors, database)


async def _asked(environment: Environment, home: Path) -> Hosts:
    """The hosts in the settings of a box that nothing ran in."""
    spec = SandboxSpec("probe", "probe", None, home / "probe")
    try:
        async with await environment.open(spec) as box:
            return await package_hosts(box.runner)
    finally:
        await environment.remove(spec.name)


def _networks(hosts: Hosts) -> Sequence[Network]:
    """Where the hosts are on this machine: a company's mirror may well have a private address."""
    named = {urlsplit(origin).hostname for origins in hosts.values() for origin in origins}
    found = {str(each[4][0]) for name in named for each in _resolved(str(name))}
    return [ip_network(address) for address in sorted(found)]


def _resolved(host: str) -> Sequence[tuple[object, object, object, object, tuple[object, ...]]]:
    try:
        return socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return []


async def _opened(log: Log, repository: Repository) -> None:
    prompt = Prompt(id=f"{SESSION}-1", text="Fix it", author=Person(id="p_ada", name="Ada"))
    chosen = e.RepositoryChosen(slug=repository.slug, branch="main", how="named", reason="it was named")
    opened = e.SessionOpened(title="Fix it", origin=Origin(platform="web"), requester=prompt.author)
    await log.create(SESSION, [opened, e.PromptQueued(prompt=prompt), chosen])


def _reachable(guest: Guest, preset: str) -> None:
    """Leaves the test on a machine from which nobody reaches the index."""
    if not guest.hosts[preset]:
        unavailable(preset, "the boxes of this machine have no such package manager")
    if not any(_resolved(str(urlsplit(origin).hostname)) for origin in guest.hosts[preset]):
        unavailable(preset, "the package index of this machine cannot be reached from it")


async def test_pip_installs_a_package_into_an_environment(guest: Guest) -> None:
    _reachable(guest, "python")
    install = "python3 -m venv v && v/bin/pip install --quiet --no-input six 2>&1"
    done = await run(
        guest.box, f"{install} && v/bin/python -c 'import six; print(six.__name__)'", FETCH_SECONDS
    )
    assert done.output.splitlines()[-1:] == ["six"], done.output
    assert {outcome for _, outcome in await guest.audited()} == {"allowed"}


async def test_pip_installs_a_package_for_the_box_s_user(guest: Guest) -> None:
    _reachable(guest, "python")
    done = await run(guest.box, "python3 -m pip install --quiet --no-input --user six 2>&1", FETCH_SECONDS)
    assert done.exit_code == 0, done.output


async def test_npm_installs_a_package(guest: Guest) -> None:
    _reachable(guest, "npm")
    done = await run(guest.box, "npm install --no-save is-number 2>&1", FETCH_SECONDS)
    assert done.exit_code == 0, done.output
    assert (await run(guest.box, "node -p 'require(\"is-number\")(5)'")).output == "true\n"


async def test_apt_fetches_a_package(guest: Guest) -> None:
    _reachable(guest, "debian")
    command = "apt-get -q update 2>&1 && apt-get -q download hello 2>&1 && ls *.deb"
    done = await run(guest.box, command, FETCH_SECONDS)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1].startswith("hello_")


async def test_nothing_else_was_asked_of_the_door(guest: Guest) -> None:
    assert [each.subject for each in guest.doors.refusals(BOX, 0)] == []


async def test_without_the_presets_nothing_is_fetched(environment: Environment) -> None:
    async with _guest(environment, (), "bellhop-s2") as guest:
        if not guest.hosts["python"]:
            unavailable("python", "the boxes of this machine have no pip")
        command = "python3 -m pip download --quiet --retries 0 --no-deps six 2>&1"
        assert (await run(guest.box, command, FETCH_SECONDS)).exit_code == 1
        (refused, *_) = guest.doors.refusals(guest.box.name, 0)
        assert f"https://{refused.host}" in guest.hosts["python"]
        assert refused.allowable


async def test_a_package_manager_that_is_late_is_not_taken_for_one_that_is_absent(guest: Guest) -> None:
    with pytest.raises(ToolsLate):
        await package_hosts(guest.box.runner, tool_seconds=0.001)
