"""Three places to talk to the bot in, alike to a test: what people do there, and what they see."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from bot.platforms.console.people import identity
from bot.platforms.console.platform import ConsolePlatform
from bot.platforms.console.thread import BOT, ConsoleMessage
from bot.platforms.protocol import Platform
from bot.platforms.slack.workspaces import SlackWorkspaces
from bot.reactions import short_name
from deploy import chat
from deploy.core import Core
from session.directory import Directory
from session.people import Identity
from tests.bot.discord_side import discord_platform
from tests.bot.slack_side import slack_platform
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.world import Message as DiscordMessage
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.people import SlackPerson
from tests.emulators.slack.workspace import TEAM_ID, Message

OUTSIDER = "Linus"
"""The one who may watch and no more: a guest, or where there are none, a viewer."""

PATIENCE_SECONDS = 60.0
_RINGS = re.compile("<[@!][^>]*>|@(?:here|channel|everyone)")
_MENU = "Any other repository…"


class Stage(Protocol):
    """A thread on one platform. People are known by their names; `words` find the message that shows them."""

    @property
    def platform(self) -> Platform:
        """The bot's side of it."""

    @property
    def tells_outsiders(self) -> str:
        """Words of what somebody reads who may only watch."""

    async def connected(self, directory: Directory) -> None:
        """Returns once the bot hears what is said, and the outsider is one."""

    def identity(self, name: str) -> Identity:
        """Who somebody is to the bot."""

    async def says(self, name: str, text: str, *, mention: bool = False) -> None:
        """Writes in the thread; the first time it is begun, by a mention."""

    async def reacts(self, name: str, emoji: str, words: str) -> None:
        """Puts the emoji under that message."""

    async def presses(self, name: str, button: str, words: str) -> None:
        """Presses that message's button."""

    async def picks(self, name: str, choice: str, words: str) -> None:
        """Picks from that message's menu of all repositories."""

    async def sees(self, words: str) -> str:
        """The bot's message to all that shows these words, as soon as it does."""

    async def is_told(self, name: str, words: str) -> str:
        """The message to this person alone that shows these words, as soon as it does."""

    async def is_marked(self, emoji: str) -> None:
        """Returns once this is the bot's only emoji under the request."""

    def posts(self) -> list[str]:
        """What the bot said to all, oldest first, as it stands now."""

    def call_on(self, name: str) -> str:
        """What makes this person's and everybody's telephone ring when it is written here."""

    def rung(self) -> list[str]:
        """What of that, or of its like, the bot wrote so that it does ring."""


class ConsoleStage:
    """A console: nobody is a guest there, and nothing rings, but a terminal obeys escape sequences."""

    tells_outsiders = "your role here does not include approving"

    def __init__(self) -> None:
        self.platform = ConsolePlatform()
        self._thread: str | None = None

    async def connected(self, directory: Directory) -> None:
        outsider = await directory.resolve(identity(OUTSIDER))
        await directory.set_role(outsider.id, "viewer")

    def identity(self, name: str) -> Identity:
        return identity(name)

    async def says(self, name: str, text: str, *, mention: bool = False) -> None:
        mention = mention or self._thread is None
        said = await self.platform.people.say(text, name, thread=self._thread, mention=mention)
        self._thread = said.thread

    async def reacts(self, name: str, emoji: str, words: str) -> None:
        await self.platform.people.react(emoji, name, on=self._message(words).id)

    async def presses(self, name: str, button: str, words: str) -> None:
        pressed = await self.platform.people.press(button, name)
        assert words in pressed.text

    async def picks(self, name: str, choice: str, words: str) -> None:
        pressed = await self.platform.people.press("", name, value=choice)
        assert words in pressed.text

    async def sees(self, words: str) -> str:
        def shows(message: ConsoleMessage) -> bool:
            return words in message.text and message.only_for is None and message.author == BOT

        return (await self.platform.threads.wait_for(shows, PATIENCE_SECONDS)).text

    async def is_told(self, name: str, words: str) -> str:
        def shows(message: ConsoleMessage) -> bool:
            return words in message.text and message.only_for == name.lower()

        return (await self.platform.threads.wait_for(shows, PATIENCE_SECONDS)).text

    async def is_marked(self, emoji: str) -> None:
        def marked(message: ConsoleMessage) -> bool:
            own = [mark for mark, name in message.reactions if name == BOT]
            return message.id == self._thread and own == [emoji]

        await self.platform.threads.wait_for(marked, PATIENCE_SECONDS)

    def posts(self) -> list[str]:
        return [m.text for m in self.platform.threads if m.author == BOT and m.only_for is None]

    def call_on(self, name: str) -> str:
        return f"\x1b]9;{name}, look here\x07\x1b[2J@everyone"

    def rung(self) -> list[str]:
        return [text for text in self.posts() if "\x1b" in text or "\x07" in text]

    def _message(self, words: str) -> ConsoleMessage:
        return next(m for m in self.platform.threads if words in m.text and m.only_for is None)


class SlackStage:
    """A channel of the emulated Slack."""

    tells_outsiders = "full members here"

    def __init__(self, slack: SlackEmulator, platform: SlackWorkspaces) -> None:
        self.platform = platform
        self._slack = slack
        self._channel = slack.channel("billing")
        self._people: dict[str, SlackPerson] = {}
        self._root: Message | None = None

    async def connected(self, directory: Directory) -> None:
        await asyncio.wait_for(self.platform.ready(), PATIENCE_SECONDS)
        await self._slack.wait_for_connection()

    def identity(self, name: str) -> Identity:
        return Identity(platform="slack", workspace=TEAM_ID, account=self._person(name).id, name=name)

    async def says(self, name: str, text: str, *, mention: bool = False) -> None:
        mention = mention or self._root is None
        person = self._person(name)
        said = await person.say(self._channel, text, thread=self._root, mention_bot=mention)
        self._root = self._root or said
        await self._slack.wait_for_delivery()

    async def reacts(self, name: str, emoji: str, words: str) -> None:
        await self._person(name).react(self._message(words), short_name(emoji))
        await self._slack.wait_for_delivery()

    async def presses(self, name: str, button: str, words: str) -> None:
        await self._person(name).press(self._message(words), button)

    async def picks(self, name: str, choice: str, words: str) -> None:
        await self._person(name).pick(self._message(words), _MENU, choice)

    async def sees(self, words: str) -> str:
        def shown() -> str:
            return next((text for text in self.posts() if words in text), "")

        return await self._slack.wait_for(shown, PATIENCE_SECONDS)

    async def is_told(self, name: str, words: str) -> str:
        person = self._person(name)

        def shown() -> str:
            told = (m.shown for m in self._thread() if m.ephemeral_for == person.id)
            return next((text for text in told if words in text), "")

        return await self._slack.wait_for(shown, PATIENCE_SECONDS)

    async def is_marked(self, emoji: str) -> None:
        bot, root = self._slack.workspace.bot.id, self._begun()

        def marked() -> bool:
            return [name for name, users in root.reactions.items() if bot in users] == [short_name(emoji)]

        await self._slack.wait_for(marked, PATIENCE_SECONDS)

    def posts(self) -> list[str]:
        return [m.shown for m in self._slack.posts(self._begun()) if m.ephemeral_for is None]

    def call_on(self, name: str) -> str:
        return f"<@{self._person(name).id}> <!channel> @here"

    def rung(self) -> list[str]:
        own = [m for m in self._slack.posts(self._begun()) if m.ephemeral_for is None]
        return [ring for m in own for ring in _RINGS.findall(f"{m.text} {json.dumps(m.blocks)}")]

    def _person(self, name: str) -> SlackPerson:
        if name not in self._people:
            self._people[name] = self._slack.person(name, is_restricted=name == OUTSIDER)
            self._channel.members.add(self._people[name].id)
        return self._people[name]

    def _begun(self) -> Message:
        assert self._root is not None
        return self._root

    def _thread(self) -> list[Message]:
        return self._slack.thread(self._begun())

    def _message(self, words: str) -> Message:
        return next(m for m in self._thread() if words in m.shown and m.ephemeral_for is None)


class DiscordStage:
    """A channel of the emulated Discord, and the thread that the bot begins there."""

    tells_outsiders = "full members here"

    def __init__(self, discord: DiscordEmulator) -> None:
        self.platform = discord_platform(discord)
        self.discord = discord
        self._channel = discord.channel("billing")
        self._people: dict[str, DiscordPerson] = {}
        self._root: DiscordMessage | None = None

    async def connected(self, directory: Directory) -> None:
        await asyncio.wait_for(self.platform.ready(), PATIENCE_SECONDS)

    def identity(self, name: str) -> Identity:
        account = self._person(name).id
        return Identity(platform="discord", workspace=self.discord.guild_id, account=account, name=name)

    async def says(self, name: str, text: str, *, mention: bool = False) -> None:
        if self._root is None:
            self._root = self._person(name).say(self._channel, text)
            return
        thread = self.discord.world.thread_of(self._root)
        assert thread is not None
        self._person(name).say(thread, text, mention_bot=mention)

    async def reacts(self, name: str, emoji: str, words: str) -> None:
        self._person(name).react(self._message(words), emoji)

    async def presses(self, name: str, button: str, words: str) -> None:
        await self._person(name).press(self._message(words), button)

    async def picks(self, name: str, choice: str, words: str) -> None:
        await self._person(name).pick(self._message(words), _MENU, choice)

    async def sees(self, words: str) -> str:
        return (await self.discord.wait_for_post(self.root, words, PATIENCE_SECONDS)).shown

    async def is_told(self, name: str, words: str) -> str:
        return (await self.discord.wait_for_aside(self._person(name), words, PATIENCE_SECONDS)).shown

    async def is_marked(self, emoji: str) -> None:
        await self.discord.wait_for(lambda: self.discord.marks(self.root) == {emoji}, PATIENCE_SECONDS)

    def posts(self) -> list[str]:
        return [message.shown for message in self.discord.posts(self.root)]

    def call_on(self, name: str) -> str:
        return f"<@{self._person(name).id}> <@&{self.discord.world.guild_id}> @everyone"

    def rung(self) -> list[str]:
        return [said for said in self.discord.violations if "rings" in said]

    def _person(self, name: str) -> DiscordPerson:
        if name not in self._people:
            self._people[name] = self.discord.person(name, pending=name == OUTSIDER)
        return self._people[name]

    @property
    def root(self) -> DiscordMessage:
        """The message from which the thread was begun."""
        assert self._root is not None
        return self._root

    def _message(self, words: str) -> DiscordMessage:
        return next(m for m in self.discord.posts(self.root) if words in m.shown)


@asynccontextmanager
async def console_stage() -> AsyncIterator[Stage]:
    """A console of this process."""
    yield ConsoleStage()


@asynccontextmanager
async def discord_stage() -> AsyncIterator[Stage]:
    """A channel of a new guild."""
    async with DiscordEmulator() as discord:
        yield DiscordStage(discord)


@asynccontextmanager
async def slack_stage() -> AsyncIterator[Stage]:
    """A channel of a new workspace."""
    async with SlackEmulator() as slack:
        yield SlackStage(slack, slack_platform(slack))


STAGES: Mapping[str, Callable[[], AbstractAsyncContextManager[Stage]]] = {
    "console": console_stage,
    "discord": discord_stage,
    "slack": slack_stage,
}
"""How a stage is put up, by the platform's name."""


@asynccontextmanager
async def served(core: Core, stage: Stage) -> AsyncIterator[None]:
    """The bot's process serves the stage in a whole house, until the block ends."""
    task = asyncio.create_task(chat.chat(core, stage.platform), name=stage.platform.name)
    try:
        await stage.connected(core.directory)
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled(), f"{stage.platform.name} ended by itself: {task.exception()}"
