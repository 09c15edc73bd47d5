"""A GitHub account is linked from chat: a code for one person's eyes, GitHub's page, and word of the end."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.platforms.console.people import identity
from bot.platforms.console.platform import ConsolePlatform
from bot.platforms.console.thread import ConsoleMessage
from bot.wording import is_link, is_unlink
from session.settings import Settings
from tests.bot.rooms import Rooms
from tests.bot.slack_side import bot_on
from tests.companion_web.broker_side import BrokerSide, broker_side
from tests.emulators.github import GitHubEmulator
from tests.emulators.slack.emulator import SlackEmulator


@dataclass(frozen=True, slots=True)
class Scene:
    """GitHub, with Ada and Grace, and the broker beside the rooms."""

    github: GitHubEmulator
    broker: BrokerSide
    rooms: Rooms

    async def login(self, name: str) -> str | None:
        """The GitHub login that the broker keeps for somebody on the console."""
        return await self.broker.accounts.login((await self.rooms.directory.resolve(identity(name))).id)


@asynccontextmanager
async def scene(rooms: Rooms, home: Path, interval_seconds: float = 0.05) -> AsyncIterator[Scene]:
    async with GitHubEmulator(home / "github") as github:
        github.add_user("ada")
        github.add_user("grace")
        github.sign_in.devices.interval = interval_seconds
        settings = Settings.load(
            {
                "BROKER_SOCKET": str(rooms.broker.socket),
                "SECRET_KEY": "a key for tests that nobody else uses",
                "GITHUB_URL": github.web_url,
                "GITHUB_API_URL": github.api_url,
                "GITHUB_CLIENT_ID": github.app.client_id,
                "GITHUB_CLIENT_SECRET": github.app.client_secret,
            }
        )
        async with broker_side(settings, rooms.database, rooms.directory) as broker:
            yield Scene(github, broker, rooms)


async def told(console: ConsolePlatform, name: str, words: str) -> ConsoleMessage:
    """The message that only that person sees, and that has these words in it."""
    return await console.threads.wait_for(lambda m: m.only_for == name.lower() and words in m.text, 60)


def code_in(message: ConsoleMessage) -> str:
    found = re.search(r"[A-Z]{4}-[A-Z]{4}", message.text)
    assert found, message.text
    return found[0]


@pytest.mark.needs("npm")
async def test_a_code_is_shown_typed_in_and_the_account_is_linked(rooms: Rooms, tmp_path: Path) -> None:
    console = ConsolePlatform()
    async with scene(rooms, tmp_path) as at, rooms.serving(console):
        await console.people.say("link github")
        shown = await told(console, "Ada", "/login/device")
        assert "within 14 min" in shown.text
        at.github.sign_in.devices.enter(code_in(shown), "ada")
        await told(console, "Ada", "Linked: what you ask for is done as ada on GitHub")
        assert await at.login("Ada") == "ada"
        assert (await rooms.directory.resolve(identity("Ada"))).forge_login == "ada"
        assert not [m for m in console.threads if not m.only_for and m.kind != "request"]

        await console.people.say("Unlink GitHub!")
        await told(console, "Ada", "Unlinked: nothing is done as ada")
        assert await at.login("Ada") is None
        assert (await rooms.directory.resolve(identity("Ada"))).forge_login is None
        await console.people.say("unlink")
        await told(console, "Ada", "nothing to unlink")
        assert await rooms.sessions() == []


@pytest.mark.needs("npm")
async def test_no_on_github_and_a_code_that_ran_out_are_said(rooms: Rooms, tmp_path: Path) -> None:
    console = ConsolePlatform()
    async with scene(rooms, tmp_path) as at, rooms.serving(console):
        await console.people.say("connect github")
        at.github.sign_in.devices.deny(code_in(await told(console, "Ada", "/login/device")))
        await told(console, "Ada", "You said no on GitHub")
        await console.people.say("link", "Grace")
        at.github.sign_in.devices.expire(code_in(await told(console, "Grace", "/login/device")))
        await told(console, "Grace", "The code ran out")
        at.github.sign_in.devices.enabled = False
        await console.people.say("link", "Linus")
        await told(
            console, "Linus", "Link your account on your account page instead. For an admin: Device flow must"
        )
        assert await at.login("Ada") is None
        assert await at.login("Grace") is None


@pytest.mark.needs("npm")
async def test_a_newer_code_takes_the_place_of_the_one_before(rooms: Rooms, tmp_path: Path) -> None:
    console = ConsolePlatform()
    async with scene(rooms, tmp_path) as at, rooms.serving(console):
        await console.people.say("link")
        first = code_in(await told(console, "Ada", "/login/device"))
        await console.people.say("link my GitHub account")
        second = code_in(
            await console.threads.wait_for(
                lambda m: m.only_for == "ada" and "/login/device" in m.text and first not in m.text, 60
            )
        )
        at.github.sign_in.devices.enter(second, "ada")
        await told(console, "Ada", "Linked:")
        assert len([m for m in console.threads if m.only_for == "ada"]) == 3


@pytest.mark.needs("npm")
async def test_in_slack_only_the_person_sees_the_code(rooms: Rooms, tmp_path: Path) -> None:
    async with (
        scene(rooms, tmp_path) as at,
        SlackEmulator() as slack,
        bot_on(slack, rooms),
    ):
        ada = slack.person("Ada")
        asked = await ada.say(slack.channel("general"), "link github")
        shown = await slack.wait_for_post(asked, "/login/device")
        assert shown.ephemeral_for == ada.id
        found = re.search(r"[A-Z]{4}-[A-Z]{4}", shown.shown)
        assert found
        at.github.sign_in.devices.enter(found[0], "ada")
        linked = await slack.wait_for_post(asked, "Linked: what you ask for is done as ada")
        assert linked.ephemeral_for == ada.id


async def test_without_the_broker_the_person_is_told(rooms: Rooms) -> None:
    console = ConsolePlatform()
    async with rooms.serving(console):
        for words in ("link github", "unlink github"):
            await console.people.say(words)
        await told(console, "Ada", "The broker, which holds all credentials, does not answer.")
    assert len([m for m in console.threads if m.only_for == "ada"]) == 2


@pytest.mark.parametrize(
    "words", ["link", "Link GitHub.", "connect github", "link my account", "connect my github"]
)
def test_words_that_ask_to_link(words: str) -> None:
    assert is_link(words)
    assert not is_unlink(words)


@pytest.mark.parametrize("words", ["unlink", "Unlink GitHub!", "disconnect my github account"])
def test_words_that_ask_to_unlink(words: str) -> None:
    assert is_unlink(words)
    assert not is_link(words)


@pytest.mark.parametrize(
    "words", ["", "link the footer", "connect", "link github issues in the docs", "the link", "disconnect"]
)
def test_words_that_are_work(words: str) -> None:
    assert not is_link(words)
    assert not is_unlink(words)
