"""People in a guild, for tests to act as: they write, react, press, pick and type commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.emulators.discord import shapes
from tests.emulators.discord.call import announce, begin_thread
from tests.emulators.discord.channel_routes import direct_channel
from tests.emulators.discord.gateway import DIRECT_TYPING, GUILD_TYPING, Gateway
from tests.emulators.discord.interactions import (
    COMMAND_USED,
    COMPLETION_ASKED,
    MODAL_SUBMITTED,
    PRESSED,
    Interaction,
    Interactions,
)
from tests.emulators.discord.message_routes import reacted
from tests.emulators.discord.refusals import Json
from tests.emulators.discord.rendering import BUTTON, SELECT, controls, label
from tests.emulators.discord.world import REPLY, Channel, Message, Upload, User, World

ANSWER_SECONDS = 60.0
"""How long the application is waited for. Discord's own three seconds pass by `let_time_pass` alone."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to send along with a message."""

    name: str
    content: bytes
    media_type: str = "text/plain"
    seconds: float | None = None


class DiscordPerson:
    """One person. What they do reaches the app as Discord would tell it."""

    def __init__(
        self, user: User, world: World, gateway: Gateway, interactions: Interactions, base_url: str
    ) -> None:
        self.user = user
        self._world = world
        self._gateway = gateway
        self._interactions = interactions
        self._base_url = base_url

    @property
    def id(self) -> str:
        """The account's id, as the API gives it."""
        return str(self.user.id)

    def say(
        self,
        channel: Channel,
        text: str,
        *,
        mention_bot: bool = True,
        reply_to: Message | None = None,
        calling: Sequence[User] = (),
        roles: Sequence[int] = (),
        files: Sequence[File] = (),
    ) -> Message:
        """Write in a channel or a thread; the event is on its way on return."""
        world = self._world
        mentions = [*calling, *([world.bot] if mention_bot else [])]
        prefix = " ".join([*(f"<@{account.id}>" for account in mentions), *(f"<@&{role}>" for role in roles)])
        message = Message(
            world.new_id(),
            channel,
            self.user,
            f"{prefix} {text}".strip(),
            kind=REPLY if reply_to else 0,
            reference=reply_to,
            uploads=tuple(self._upload(file) for file in files),
            mention_roles=tuple(roles),
            mentions=(*mentions, *([reply_to.author] if reply_to else [])),
            read=True,
        )
        channel.archived = False
        world.add(message)
        announce(world, self._gateway, message)
        return message

    def say_directly(
        self,
        text: str,
        *,
        reply_to: Message | None = None,
        mention_bot: bool = False,
        files: Sequence[File] = (),
    ) -> Message:
        """Write to the bot alone."""
        channel = direct_channel(self._world, self.user)
        return self.say(channel, text, mention_bot=mention_bot, reply_to=reply_to, files=files)

    def begin_thread(self, message: Message, name: str) -> Channel:
        """Begin a thread from a message, as people do among themselves."""
        return begin_thread(self._world, self._gateway, message.channel, message, name, self.user)

    def react(self, message: Message, emoji: str) -> None:
        """Put an emoji under a message."""
        reacted(self._world, self._gateway, message, self.user, emoji, added=True)

    def unreact(self, message: Message, emoji: str) -> None:
        """Take it away again."""
        reacted(self._world, self._gateway, message, self.user, emoji, added=False)

    def type_in(self, channel: Channel) -> None:
        """Begin to write, which others see."""
        told: Json = {
            "channel_id": str(channel.id),
            "user_id": self.id,
            "timestamp": 1_767_600_000,
        }
        if channel.in_guild:
            member = shapes.whole_member(self.user)
            told |= {"guild_id": str(self._world.guild_id), "member": member}
        intent = GUILD_TYPING if channel.in_guild else DIRECT_TYPING
        self._gateway.tell("TYPING_START", intent, lambda _: told)

    async def press(self, message: Message, button: str) -> Interaction:
        """Press the button with these words on it, and wait until that is acknowledged."""
        found = _control(message, BUTTON, button)
        return await self.use(message, {"component_type": BUTTON, "custom_id": found["custom_id"]})

    async def pick(self, message: Message, menu: str, option: str) -> Interaction:
        """Choose an option (by its label) from the menu with that placeholder."""
        found = _control(message, SELECT, menu)
        values = [choice["value"] for choice in found["options"] if option == choice["label"]]
        assert values, f"no option {option!r} in {[choice['label'] for choice in found['options']]}"
        data = {"component_type": SELECT, "custom_id": found["custom_id"], "values": values}
        return await self.use(message, data)

    async def use(self, message: Message, data: Json) -> Interaction:
        """What `press` and `pick` do, with any data."""
        return await self._begin(PRESSED, message.channel, data, on=message)

    async def submit(self, asked: Interaction, *values: str) -> Interaction:
        """Fill in the modal that answered `asked`."""
        assert asked.modal is not None, "no modal was opened"
        rows = []
        for row, value in zip(asked.modal["components"], values, strict=True):
            inner = row.get("component") or row["components"][0]
            filled = {"type": 4, "id": 2, "custom_id": inner["custom_id"], "value": value}
            rows.append({"type": 18, "id": 1, "component": filled})
        data = {"custom_id": asked.modal["custom_id"], "components": rows}
        return await self._begin(MODAL_SUBMITTED, asked.channel, data, on=asked.on)

    async def command(self, channel: Channel, name: str, **options: str) -> Interaction:
        """Type a slash command."""
        return await self._begin(COMMAND_USED, channel, self._command(name, options))

    async def complete(self, channel: Channel, name: str, option: str, typed: str) -> list[str]:
        """What is offered for an option while it is typed."""
        data = self._command(name, {option: typed})
        data["options"][0]["focused"] = True
        done = await self._begin(COMPLETION_ASKED, channel, data)
        return [str(choice["value"]) for choice in done.choices or ()]

    async def use_on(self, message: Message, name: str) -> Interaction:
        """Choose an entry from a message's menu of apps."""
        command = self._registered(name, 3)
        shown = shapes.message(message, self._world)
        data = {
            "id": command["id"],
            "name": name,
            "type": 3,
            "guild_id": str(self._world.guild_id),
            "target_id": str(message.id),
            "resolved": {"messages": {str(message.id): shown}},
        }
        return await self._begin(COMMAND_USED, message.channel, data)

    async def _begin(self, kind: int, channel: Channel, data: Json, on: Message | None = None) -> Interaction:
        world = self._world
        begun = self._interactions.begin(kind, self.user, channel, on)
        told: Json = {
            "id": str(begun.id),
            "application_id": str(world.application_id),
            "type": kind,
            "data": data,
            "channel_id": str(channel.id),
            "channel": shapes.channel(channel, world),
            "token": begun.token,
            "version": 1,
            "locale": "en-US",
            "app_permissions": str(world.permissions()),
            "attachment_size_limit": 10_000_000,
            "entitlements": [],
            "authorizing_integration_owners": {"0": str(world.guild_id)},
            "context": 0 if channel.in_guild else 1,
        }
        if channel.in_guild:
            guild = {"id": str(world.guild_id), "locale": "en-US", "features": []}
            member = {**shapes.whole_member(self.user), "permissions": "0"}
            told |= {"guild_id": guild["id"], "guild": guild, "guild_locale": "en-US", "member": member}
        else:
            told["user"] = shapes.user(self.user)
        if on is not None:
            told["message"] = shapes.message(on, world)
        self._gateway.tell("INTERACTION_CREATE", 0, lambda _: told)
        await world.watch.wait_for(
            lambda: begun.answer is not None, ANSWER_SECONDS, lambda: "the application did not respond"
        )
        return begun

    def _command(self, name: str, options: dict[str, str]) -> Json:
        known = self._registered(name, 1)
        names = [option["name"] for option in known.get("options", [])]
        assert set(options) <= set(names), f"/{name} has no options {set(options) - set(names)}"
        given = [{"name": key, "type": 3, "value": value} for key, value in options.items()]
        return {
            "id": known["id"],
            "name": name,
            "type": 1,
            "guild_id": str(self._world.guild_id),
            "options": given,
        }

    def _registered(self, name: str, kind: int) -> Json:
        found = [c for c in self._world.commands if (c["name"], c["type"]) == (name, kind)]
        assert found, f"no command {name!r} is registered: {[c['name'] for c in self._world.commands]}"
        return found[0]

    def _upload(self, file: File) -> Upload:
        upload_id = self._world.new_id()
        url = f"{self._base_url}/attachments/{upload_id}/{file.name}"
        return Upload(upload_id, file.name, file.content, file.media_type, url, file.seconds)


def _control(message: Message, kind: int, words: str) -> Json:
    found = [c for c in controls(message.components) if c["type"] == kind and words in label(c)]
    there = [label(c) for c in controls(message.components)]
    assert found, f"there is no {words!r} among {there}"
    return found[0]
