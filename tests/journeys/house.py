"""Bellhop for journeys: wired as in production, beside an emulated Slack, GitHub and model."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from deploy import chat, pages
from deploy.boxes import open_environment
from deploy.broker import broker
from deploy.core import Core, open_core
from deploy.credentials import github_accounts
from deploy.web_server import listen
from deploy.work import work
from sandbox.broker.accounts import UserTokens
from sandbox.broker.door.addresses import resolve
from sandbox.environments.protocol import Environment
from sandbox.session_boxes import box_name
from session.catalogue import Catalogue
from session.directory import Directory
from session.listing import SessionFilter
from session.people import Identity, Person, Role
from session.settings import Settings
from tests.emulators.github import GitHubEmulator
from tests.emulators.github.state import Level
from tests.emulators.model.emulator import ModelEmulator
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.people import SlackPerson, Upload
from tests.emulators.slack.workspace import TEAM_ID, Channel, Message
from tests.journeys.thread import Thread
from tests.provision.databases import tables_at
from tests.provision.places import temporary_home
from tests.sandbox.workbench import sample_repository

AGENT = str(Settings.model_fields["agent_model"].default)
CLASSIFIER = str(Settings.model_fields["classifier_model"].default)
BILLING, WEB, ATTIC = "acme/billing", "acme/web", "acme/attic"
VERIFY = "python3 -m unittest"

Way = Literal["socket", "http"]


@dataclass(frozen=True, slots=True)
class Member:
    """Someone in Slack whose GitHub login is their name in small letters."""

    house: House
    slack: SlackPerson

    @property
    def name(self) -> str:
        """The name others see."""
        return self.slack.name

    @property
    def login(self) -> str:
        """The GitHub login."""
        return self.name.lower()

    async def asks(self, text: str, channel: Channel | None = None, files: Sequence[Upload] = ()) -> Thread:
        """Mentions the bot in the channel (None: the one of billing); the thread that begins with it."""
        root = await self.slack.say(channel or self.house.billing, text, files=files)
        return Thread(self.house.slack, self.house.core, root)

    async def replies(self, thread: Thread, text: str, *, mention: bool = True) -> Message:
        """Writes in the thread."""
        return await self.slack.say(thread.root.channel, text, thread=thread.root, mention_bot=mention)

    async def reacts(self, emoji: str, message: Message) -> None:
        """Puts a reaction on the message."""
        await self.slack.react(message, emoji)

    async def presses(self, button: str, message: Message) -> None:
        """Presses the button with that label."""
        await self.slack.press(message, button)

    async def person(self) -> Person:
        """Who they are to Bellhop."""
        user = self.slack.user
        identity = Identity(
            platform="slack", workspace=TEAM_ID, account=user.id, name=user.name, email=user.email or None
        )
        return await self.house.core.directory.resolve(identity)


@dataclass(frozen=True, slots=True)
class House:
    """Everything of one journey. `billing` is a channel that means acme/billing; `general` means nothing."""

    slack: SlackEmulator
    github: GitHubEmulator
    model: ModelEmulator
    core: Core
    environment: Environment
    billing: Channel
    general: Channel

    @property
    def url(self) -> str:
        """Where the companion pages are."""
        return self.core.settings.page_address

    @property
    def directory(self) -> Directory:
        """Who is who."""
        return self.core.directory

    async def member(
        self, name: str, *, role: Role | None = None, may: Level = "write", linked: bool = True
    ) -> Member:
        """Someone in Slack.

        role: None leaves what people get who are seen for the first time. may: their permission on the
        repositories at GitHub. linked: whether Bellhop may act as them there.
        """
        member = self._newcomer(self.slack.person(name))
        for slug in (BILLING, WEB):
            self.github.grant(member.login, slug, may)
        person = await member.person()
        if role is not None:
            await self.core.directory.set_role(person.id, role)
        if linked:
            await self.link(member)
        return member

    def outsider(self, name: str, *, stranger: bool = False) -> Member:
        """A guest of the workspace, or someone of another one who shares its channels."""
        return self._newcomer(self.slack.person(name, is_restricted=not stranger, is_stranger=stranger))

    def _newcomer(self, person: SlackPerson) -> Member:
        for channel in (self.billing, self.general):
            channel.members.add(person.id)
        return Member(self, person)

    async def link(self, member: Member) -> None:
        """What signing in with GitHub leaves behind."""
        person = await member.person()
        tokens = UserTokens(login=member.login, access_token=self.github.user_token(member.login))
        await github_accounts(self.core).link(person.id, tokens)
        await self.core.directory.set_forge_login(person.id, member.login)

    async def sessions(self) -> list[str]:
        """The ids of all sessions there are."""
        return [row.id for row in await self.core.log.sessions(SessionFilter())]

    def workspace(self, session_id: str) -> Path:
        """Where the workspace of a session's local box is on this host."""
        return self.core.settings.bellhop_home / "boxes" / "boxes" / box_name(session_id) / "workspace"

    async def commits(self, slug: str, base: str, branch: str) -> list[str]:
        """The whole text of the commits that `branch` has and `base` has not, oldest first."""
        process = await asyncio.create_subprocess_exec(
            *("git", "--git-dir", str(self.github.repository(slug).path)),
            *("log", "--reverse", "-z", "--format=%an%n%B", f"{base}..{branch}"),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        return [text for text in out.decode().split("\0") if text]


@asynccontextmanager
async def open_house(
    redis_url: str,
    *,
    database_url: str = "",
    way: Way = "socket",
    docker: tuple[str, str] | None = None,
    environment: Environment | None = None,
    settings: Mapping[str, str] | None = None,
    repositories: Mapping[str, Mapping[str, object]] | None = None,
    allow_leftovers: bool = False,
) -> AsyncIterator[House]:
    """The house, until the journey ends; its boxes and files are gone afterwards.

    docker: address and base image of an engine to make boxes with; None: local boxes. environment: where
    boxes are made instead. settings: more of the
    environment. repositories: entries to replace, by slug. allow_leftovers: replies of the model may be left.
    """
    home = temporary_home()
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        github = await stack.enter_async_context(GitHubEmulator(home / "github"))
        slack = await stack.enter_async_context(SlackEmulator())
        model = await stack.enter_async_context(ModelEmulator(allow_leftovers=allow_leftovers))
        catalogue = await _repositories(home, github, repositories or {})
        listener = listen("127.0.0.1", 0)
        stack.callback(listener.close)
        own = Settings.load(
            {
                **_settings(home, slack, github, model, way),
                **_boxes(docker),
                "DATABASE_URL": database_url,
                "REDIS_URL": redis_url,
                "WEB_PORT": str(listener.getsockname()[1]),
                **(settings or {}),
            }
        )
        await tables_at(own.database_address)
        core = await stack.enter_async_context(open_core(own, catalogue))
        await stack.enter_async_context(broker(core, _looked_up))
        environment = environment or await open_environment(own)
        stack.push_async_callback(_removed, environment)
        platform = chat.slack(core)
        assert platform is not None
        await stack.enter_async_context(pages.web(core, listener, environment=environment, slack=platform))
        github.webhooks.url = f"{core.settings.page_address}/webhooks/github"
        async with asyncio.TaskGroup() as group:
            running = (
                group.create_task(work(core, environment), name="worker"),
                group.create_task(chat.chat(core, platform), name="slack"),
            )
            if way == "socket":
                await slack.wait_for_connection()
            else:
                await asyncio.wait_for(platform.ready(), 60)
                address = core.settings.page_address
                await slack.use_http(f"{address}/slack/events", f"{address}/slack/interactive")
            billing, general = slack.channel("billing"), slack.channel("general")
            yield House(slack, github, model, core, environment, billing, general)
            for task in running:
                task.cancel()


def _settings(
    home: Path, slack: SlackEmulator, github: GitHubEmulator, model: ModelEmulator, way: Way
) -> dict[str, str]:
    """The environment: what an installation sets, other addresses, and shorter times."""
    return {
        "BELLHOP_HOME": str(home / "bellhop"),
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token if way == "socket" else "",
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "SLACK_API_URL": slack.api_url,
        "OPENAI_API_KEY": model.api_key,
        "OPENAI_BASE_URL": model.base_url,
        "GITHUB_API_URL": github.api_url,
        "GITHUB_URL": github.web_url,
        "GITHUB_APP_ID": str(github.app.id),
        "GITHUB_APP_PRIVATE_KEY": github.app.private_key,
        "GITHUB_CLIENT_ID": github.app.client_id,
        "GITHUB_CLIENT_SECRET": github.app.client_secret,
        "GITHUB_WEBHOOK_SECRET": github.app.webhook_secret,
        "SECRET_KEY": secrets.token_hex(32),
        "LEASE_SECONDS": "60",
        "HEARTBEAT_SECONDS": "1",
        "SWEEP_SECONDS": "1",
        "PAUSE_SECONDS": "1",
        "FEED_INTERVAL_SECONDS": "0.5",
        "IMAGE_INTERVAL_MINUTES": "0",
        "WARM_BOXES": "0",
        "DISK_FREE_GB": "0",
    }


def _boxes(docker: tuple[str, str] | None) -> dict[str, str]:
    if docker is None:
        return {"SANDBOX_BACKEND": "local"}
    host, image = docker
    return {"SANDBOX_BACKEND": "docker", "DOCKER_HOST": host, "SANDBOX_BASE_IMAGE": image}


async def _repositories(
    home: Path, github: GitHubEmulator, more: Mapping[str, Mapping[str, object]]
) -> Catalogue:
    """The samples of the demo on the emulated GitHub, and a catalogue that lists them."""
    entries: list[dict[str, object]] = []
    for slug, sample, extra in (
        (BILLING, "billing", {"channels": ["billing"], "description": "invoices"}),
        (WEB, "web", {"description": "the public site"}),
        (ATTIC, "notify", {"description": "messages as they were sent before", "archived": True}),
    ):
        await github.add_repository(slug, sample_repository(sample))
        basic = {"slug": slug, "forge": "github", "url": github.clone_url(slug), "verify": [VERIFY]}
        entries.append({**basic, **extra, **more.get(slug, {})})
    path = home / "repositories.yaml"
    path.write_text(yaml.safe_dump(entries))
    return Catalogue.load(path)


async def _looked_up(host: str, port: int) -> Sequence[str]:
    """What a host leads to: names below example.com to this machine, where journeys have their servers."""
    return ["127.0.0.1"] if host.endswith(".example.com") else await resolve(host, port)


async def _removed(environment: Environment) -> None:
    for box in await environment.list():
        await environment.remove(box.name)
    await environment.aclose()
