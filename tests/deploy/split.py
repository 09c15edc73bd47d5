"""Bellhop in production's shape: each process a user of its own, given what the example files name for it."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from deploy.boxes import open_environment
from deploy.core import open_core
from session.catalogue import Catalogue
from session.settings import Settings
from tests.deploy.accounts import BOT, BROKER, PROGRAMS, SHARED_GROUP, WEB, WORKER, Account
from tests.deploy.commands import Ended, bellhop
from tests.deploy.examples import PROCESSES, named_in
from tests.emulators.github import GitHubEmulator
from tests.emulators.model.emulator import ModelEmulator
from tests.emulators.slack.emulator import SlackEmulator
from tests.faults.processes import Program
from tests.faults.relay import relay
from tests.journeys.house import BILLING, VERIFY, House
from tests.journeys.house import WEB as SITE
from tests.provision.places import temporary_home
from tests.provision.processes import free_port
from tests.sandbox.workbench import sample_repository

ACCOUNTS: Mapping[str, Account] = {"broker": BROKER, "bot": BOT, "web": WEB, "worker": WORKER}
NOT_OVER_HTTP = {"SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"}
"""What the example for web names for the case that Slack's events come over HTTP; here they do not."""

SHOWN_CHARACTERS = 6_000


@dataclass(slots=True)
class Split:
    """The house, its processes by name, and what each is given."""

    house: House
    root: Path
    values: Mapping[str, Mapping[str, str]]
    addresses: Mapping[str, str]
    programs: dict[str, Program] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        """The directory that broker and worker share."""
        return self.root / "state"

    def environment(self, name: str) -> dict[str, str]:
        """Of the process: the variables of the common example and its own, and the emulators' addresses."""
        own = {**self.values["common"], **self.values[name]}
        named = {*named_in("common"), *named_in(name)} - (NOT_OVER_HTTP if name == "web" else set())
        if name == "worker":
            named.add("DOCKER_HOST")  # the compose file's, not an operator's
        given = {variable: own[variable] for variable in sorted(named) if variable in own}
        # The engine sets HOME for users without a name, and the unit file BELLHOP_HOME for all of them.
        return {"PATH": PROGRAMS, "HOME": "/", "BELLHOP_HOME": str(self.state), **given, **self.addresses}

    async def start(self, name: str) -> Program:
        """That process as its own user."""
        log = self.root / "logs" / f"{name}.log"
        log.touch()
        program = await Program.start(name, self.environment(name), log, account=ACCOUNTS[name])
        self.programs[name] = program
        return program

    async def command(self, *words: str, account: Account = BROKER, stdin: bytes | None = None) -> Ended:
        """`bellhop <words>` in the broker's environment."""
        return await bellhop(*words, environment=self.environment("broker"), account=account, stdin=stdin)


@asynccontextmanager
async def split_house(
    owner_url: str, application_url: str, redis_url: str, docker: tuple[str, str] | None = None
) -> AsyncIterator[Split]:
    """The house with nothing running; what was started has ended afterwards.

    The tables are made as their owner, and every process connects as the application's role. docker: address
    and base image of an engine whose socket the worker is let to; None: local boxes.
    """
    root = temporary_home()
    root.chmod(0o711)
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        github = await stack.enter_async_context(GitHubEmulator(root / "github"))
        slack = await stack.enter_async_context(SlackEmulator())
        model = await stack.enter_async_context(ModelEmulator())
        port = free_port()
        values = _values(root, github, slack, model, application_url, redis_url)
        _places(root, github)
        if docker is not None:
            values["worker"].update(await stack.enter_async_context(_engine(root, *docker)))
        await _repositories(root, github)
        owners = {"PATH": PROGRAMS, "HOME": "/", "DATABASE_URL": owner_url}
        owners["BELLHOP_HOME"] = str(root / "owner")
        role = application_url.partition("//")[2].partition("@")[0]
        for words in (("migrate",), ("audit", "grant", role)):
            ended = await bellhop(*words, environment=owners)
            assert ended.code == 0, ended
        addresses = _addresses(github, slack, port)
        known = {**values["common"], **values["broker"], **values["worker"], **addresses}
        own = Settings.load({**known, "BELLHOP_HOME": str(root / "state")})
        core = await stack.enter_async_context(open_core(own, Catalogue.load(own.repositories_file)))
        # Boxes are the worker's: whoever asks for them first makes their directory.
        outside = await open_environment(
            own.model_copy(update={"bellhop_home": root / "nobody"}), prepare=False
        )
        stack.push_async_callback(outside.aclose)
        github.webhooks.url = f"{core.settings.page_address}/webhooks/github"
        house = House(slack, github, model, core, outside, slack.channel("billing"), slack.channel("general"))
        split = Split(house, root, values, addresses)
        stack.push_async_callback(_ended, split)
        yield split


def _values(
    root: Path,
    github: GitHubEmulator,
    slack: SlackEmulator,
    model: ModelEmulator,
    database_url: str,
    redis_url: str,
) -> Mapping[str, dict[str, str]]:
    """What an operator fills in, file by file."""
    return {
        "common": {
            "GITHUB_CLIENT_ID": github.app.client_id,
            "SLACK_CLIENT_ID": slack.oauth.client_id,
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "REPOSITORIES_FILE": str(root / "etc" / "repositories.yaml"),
            "BROKER_SOCKET": str(root / "run" / "broker.sock"),
        },
        "bot": {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token},
        "web": {
            "SECRET_KEY": secrets.token_hex(32),
            "GITHUB_WEBHOOK_SECRET": github.app.webhook_secret,
            "ALLOWED_LOGINS": "ada",
        },
        "worker": {"SANDBOX_BACKEND": "local", "IMAGE_INTERVAL_MINUTES": "0", "WARM_BOXES": "0"},
        "broker": {
            "SECRET_KEY": secrets.token_hex(32),
            "FORMER_SECRET_KEYS": secrets.token_hex(32),
            "OPENAI_API_KEY": model.api_key,
            "OPENAI_BASE_URL": model.base_url,
            "GITHUB_APP_ID": str(github.app.id),
            "GITHUB_APP_PRIVATE_KEY": str(root / "etc" / "app.pem"),
            "GITHUB_CLIENT_SECRET": github.app.client_secret,
            "SLACK_CLIENT_SECRET": slack.oauth.client_secret,
            "BROKER_CLIENTS": ",".join(f"{name}:{ACCOUNTS[name].uid}" for name in PROCESSES[1:]),
            "AUDIT_ANCHORS": str(root / "anchors" / "audit-anchors.jsonl"),
        },
    }


@asynccontextmanager
async def _engine(root: Path, host: str, image: str) -> AsyncIterator[Mapping[str, str]]:
    """The engine at a socket that is the worker's; what the worker is told of it."""
    path = root / "engine" / "docker.sock"
    async with relay(path, host) as made:
        os.chown(path, WORKER.uid, WORKER.gid)
        yield {"SANDBOX_BACKEND": "docker", "SANDBOX_BASE_IMAGE": image, "DOCKER_HOST": made.address}


def _addresses(github: GitHubEmulator, slack: SlackEmulator, port: int) -> Mapping[str, str]:
    """Where things are here that are elsewhere in production, and shorter times."""
    return {
        "SLACK_API_URL": slack.api_url,
        "GITHUB_API_URL": github.api_url,
        "GITHUB_URL": github.web_url,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "WEB_PORT": str(port),
        "LEASE_SECONDS": "6",
        "HEARTBEAT_SECONDS": "1",
        "SWEEP_SECONDS": "1",
        "PAUSE_SECONDS": "1",
        "FEED_INTERVAL_SECONDS": "0.5",
    }


def _places(root: Path, github: GitHubEmulator) -> None:
    """The directories as the unit file and README.md say to make them."""
    for name, uid, gid, mode in (
        ("state", BROKER.uid, SHARED_GROUP, 0o3770),
        ("run", BROKER.uid, SHARED_GROUP, 0o755),
        ("anchors", BROKER.uid, BROKER.gid, 0o700),
        ("engine", WORKER.uid, WORKER.gid, 0o700),
        ("etc", 0, 0, 0o755),
        ("logs", 0, 0, 0o700),
    ):
        (root / name).mkdir()
        os.chown(root / name, uid, gid)
        (root / name).chmod(mode)
    key = root / "etc" / "app.pem"
    key.write_text(github.app.private_key)
    os.chown(key, BROKER.uid, BROKER.gid)
    key.chmod(0o400)


async def _repositories(root: Path, github: GitHubEmulator) -> None:
    entries = []
    for slug, sample in ((BILLING, "billing"), (SITE, "web")):
        await github.add_repository(slug, sample_repository(sample))
        entry = {"slug": slug, "forge": "github", "url": github.clone_url(slug), "channels": [sample]}
        entries.append({**entry, "verify": [VERIFY]})
    await asyncio.to_thread((root / "etc" / "repositories.yaml").write_text, yaml.safe_dump(entries))


async def _ended(split: Split) -> None:
    for name, program in split.programs.items():
        await program.kill()
        # Shown by pytest below a test that failed.
        logging.getLogger(__name__).warning("%s:\n%s", name, program.said[-SHOWN_CHARACTERS:])
    environment = await open_environment(split.house.core.settings, prepare=False)
    for box in await environment.list():
        await environment.remove(box.name)
    await environment.aclose()
