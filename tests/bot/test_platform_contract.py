"""What every chat platform must do, run against each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from bot.home_view import Home
from bot.messages import (
    ChatMessage,
    CommandWords,
    Inquiry,
    Place,
    Post,
    Press,
    Reaction,
    StatusCard,
)
from bot.platforms import platform_names
from bot.platforms.console.people import CHANNEL, WORKSPACE
from bot.platforms.console.platform import ConsolePlatform
from bot.platforms.protocol import MessageGone, Platform
from bot.preferences_words import Wish
from session.people import Identity
from tests.bot.discord_side import discord_platform
from tests.bot.rooms import Rooms
from tests.bot.slack_side import slack_platform
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.slack.emulator import SlackEmulator


@dataclass
class Notebook:
    """An inbox that only writes down. `watched`: the word that is watched in each channel; empty: none."""

    watched: str = ""
    messages: list[ChatMessage] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)
    spoken_to: asyncio.Event = field(default_factory=asyncio.Event)

    async def on_message(self, message: ChatMessage) -> None:
        self.messages.append(message)
        self.spoken_to.set()

    async def on_reaction(self, reaction: Reaction) -> None:
        self.reactions.append(reaction)

    async def on_press(self, press: Press) -> None:
        raise AssertionError("nobody presses anything here")

    async def on_arrival(self, identity: Identity) -> None:
        raise AssertionError("nobody opens direct messages here")

    async def knows(self, place: Place) -> bool:
        return True

    async def lively_threads(self, workspace: str, within: timedelta, most: int) -> Sequence[Place]:
        return ()

    async def watches(self, place: Place, text: str) -> bool:
        assert self.watched, "all that is said here mentions the bot"
        return self.watched in text

    async def on_inquiry(self, inquiry: Inquiry) -> str:
        raise AssertionError("nobody asks here")

    async def on_words(self, words: CommandWords) -> str:
        raise AssertionError("nobody types commands here")

    async def on_wish(self, author: Identity, wish: Wish) -> str | None:
        raise AssertionError("nobody chooses anything here")

    async def home(self, author: Identity) -> Home:
        raise AssertionError("nobody looks at the bot's page here")


@dataclass(frozen=True)
class Stage:
    """A platform with a person's first message on it, and a way to see what a thread shows."""

    platform: Platform
    inbox: Notebook
    place: Place
    request: str
    account: str
    shown: Callable[[str], str]
    seen_by_all: Callable[[], str]
    reactions: Callable[[str], int]


@asynccontextmanager
async def console_stage(rooms: Rooms) -> AsyncIterator[Stage]:
    console, inbox = ConsolePlatform(), Notebook()
    async with running(console, inbox):
        first = await console.people.say("please help", "Ada")

        def shown(message: str) -> str:
            found = console.threads.get(message)
            return found.text if found else ""

        def reacted(message: str) -> int:
            found = console.threads.get(message)
            return len(found.reactions) if found else 0

        yield Stage(
            console,
            inbox,
            Place(WORKSPACE, CHANNEL, first.thread),
            first.id,
            "ada",
            shown,
            lambda: "\n".join(m.text for m in console.threads.in_thread(first.thread)),
            reacted,
        )


@asynccontextmanager
async def slack_stage(rooms: Rooms) -> AsyncIterator[Stage]:
    async with SlackEmulator(allow_unread=True) as slack:
        platform, inbox = slack_platform(slack), Notebook()
        async with running(platform, inbox):
            await platform.ready()
            await slack.wait_for_connection()
            ada = slack.person("Ada")
            first = await ada.say(slack.channel("general"), "please help")
            await slack.wait_for_delivery()
            place = Place("T0HOME", first.channel.id, first.ts)
            yield Stage(
                platform,
                inbox,
                place,
                first.ts,
                ada.id,
                lambda ts: slack.workspace.message(place.channel, ts).shown,
                lambda: "\n".join(m.shown for m in slack.thread(first) if not m.ephemeral_for),
                lambda ts: len(slack.workspace.message(place.channel, ts).reactions),
            )


@asynccontextmanager
async def discord_stage(rooms: Rooms) -> AsyncIterator[Stage]:
    async with DiscordEmulator(allow_unread=True) as discord:
        platform, inbox = discord_platform(discord), Notebook()
        channel = discord.channel("general")
        async with running(platform, inbox):
            await asyncio.wait_for(platform.ready(), 60)
            ada = discord.person("Ada")
            first = ada.say(channel, "please help")
            await asyncio.wait_for(inbox.spoken_to.wait(), 60)
            world = discord.world

            def shown(message: str) -> str:
                return next(m.shown for m in world.messages if m.id == int(message))

            yield Stage(
                platform,
                inbox,
                Place(discord.guild_id, str(channel.id), str(first.id)),
                str(first.id),
                ada.id,
                shown,
                lambda: "\n".join(m.shown for m in discord.thread(first) if not m.only_for),
                lambda message: len(world.message(channel.id, int(message)).reactions.get("👀", [])),
            )


@asynccontextmanager
async def running(platform: Platform, inbox: Notebook) -> AsyncIterator[None]:
    task = asyncio.create_task(platform.run(inbox))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


STAGES: dict[str, Callable[[Rooms], AbstractAsyncContextManager[Stage]]] = {
    "console": console_stage,
    "discord": discord_stage,
    "slack": slack_stage,
}
MISSING = {"console": "never-1", "discord": "1", "slack": "1.000001"}


@pytest.fixture(params=platform_names())
async def stage(request: pytest.FixtureRequest, rooms: Rooms) -> AsyncIterator[Stage]:
    async with STAGES[request.param](rooms) as made:
        yield made


def card(state: str = "Working", revision: int = 1) -> StatusCard:
    return StatusCard("s1", revision, "Round half up", state, "working", facts=(("Asked by", "Ada"),))


async def test_what_people_say_reaches_the_inbox(stage: Stage) -> None:
    message = stage.inbox.messages[0]
    assert message.platform == stage.platform.name
    assert (message.text, message.message, message.thread) == (
        "please help",
        stage.request,
        stage.place.thread,
    )
    assert (message.mentions_bot, message.starts_thread) == (True, True)
    assert (message.author.name, message.author.account, message.author.guest) == (
        "Ada",
        stage.account,
        False,
    )
    assert message.place == stage.place


async def test_a_post_is_found_again_by_its_key(stage: Stage) -> None:
    sent = await stage.platform.post(stage.place, card(), "key-1")
    assert "Round half up" in stage.shown(sent)
    assert await stage.platform.find(stage.place, "key-1") == sent
    assert await stage.platform.find(stage.place, "key-2") is None


async def test_an_edit_shows_the_new_content_and_keeps_the_key(stage: Stage) -> None:
    sent = await stage.platform.post(stage.place, card(), "key-1")
    await stage.platform.edit(stage.place, sent, card("Done", 2))
    assert "Done" in stage.shown(sent)
    assert "Working" not in stage.shown(sent)
    assert await stage.platform.find(stage.place, "key-1") == sent


async def test_editing_what_is_not_there_says_so(stage: Stage) -> None:
    with pytest.raises(MessageGone):
        await stage.platform.edit(stage.place, MISSING[stage.platform.name], card())


async def test_marks_may_be_set_and_taken_twice(stage: Stage) -> None:
    for _ in range(2):
        await stage.platform.react(stage.place, stage.request, "👀")
    assert stage.reactions(stage.request) == 1
    for _ in range(2):
        await stage.platform.unreact(stage.place, stage.request, "👀")
    assert stage.reactions(stage.request) == 0
    assert stage.inbox.reactions == []


async def test_the_thread_is_read_oldest_first_with_names(stage: Stage) -> None:
    await stage.platform.post(stage.place, Post("update", "s1", "halfway"), "key-1")
    thread = await stage.platform.thread(stage.place, 10)
    assert [(m.from_bot, m.text) for m in thread] == [(False, "please help"), (True, "halfway")]
    assert (thread[0].name, thread[0].account) == ("Ada", stage.account)
    assert thread[0].at <= thread[1].at
    assert [m.text for m in await stage.platform.thread(stage.place, 1)] == ["halfway"]


async def test_a_message_is_fetched_as_it_stands(stage: Stage) -> None:
    found = await stage.platform.fetch(stage.place, stage.request)
    assert found is not None
    assert (found.text, found.author.account) == ("please help", stage.account)
    assert found.place == stage.place
    assert await stage.platform.fetch(stage.place, MISSING[stage.platform.name]) is None


async def test_what_is_told_to_one_is_not_read_by_others(stage: Stage) -> None:
    await stage.platform.tell(stage.place, stage.account, "between us")
    assert "between us" not in stage.seen_by_all()
    assert all("between us" not in m.text for m in await stage.platform.thread(stage.place, 10))


async def test_a_long_post_is_split_and_nothing_is_lost(stage: Stage) -> None:
    words = [f"word{n}" for n in range(4_000)]
    text = "\n\n".join(" ".join(words[at : at + 100]) for at in range(0, len(words), 100))
    parts = stage.platform.split(Post("answer", "s1", text, footer=("12 files",)))
    assert len(parts) > 1
    assert [part.footer for part in parts] == [()] * (len(parts) - 1) + [("12 files",)]
    sent = [await stage.platform.post(stage.place, part, f"k{n}") for n, part in enumerate(parts)]
    assert (
        " ".join(stage.shown(message) for message in sent).replace("12 files", "").split()[: len(words)]
        == words
    )


async def test_a_link_is_an_address_or_nothing(stage: Stage) -> None:
    link = await stage.platform.permalink(stage.place, stage.request)
    assert link is None or link.startswith("https://")
