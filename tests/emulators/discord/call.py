"""One REST call, and what several routes do: telling the gateway of messages and threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.emulators.discord import shapes
from tests.emulators.discord.gateway import DIRECT_MESSAGES, GUILD_MESSAGES, GUILDS, MESSAGE_CONTENT, Gateway
from tests.emulators.discord.interactions import Interactions
from tests.emulators.discord.refusals import MISSING_ACCESS, Json, forbidden
from tests.emulators.discord.world import THREAD, THREAD_STARTER, Channel, Message, User, World


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the numbers in its path, what it carries, and the world it acts on."""

    ids: tuple[str, ...]
    body: Json
    query: Mapping[str, str]
    world: World
    gateway: Gateway
    interactions: Interactions
    flags: int
    violated: Callable[[str], None]

    def number(self, place: int) -> int:
        """The number at that place of the path."""
        return int(self.ids[place])

    def channel(self, *permissions: str) -> Channel:
        """The channel of the path, where the bot may do all that. Raises: Refused."""
        found = self.world.channel(self.number(0))
        if not self.world.may(found, "view_channel"):
            raise forbidden(MISSING_ACCESS, "Missing Access")
        if not self.world.may(found, *permissions):
            raise forbidden()
        return found

    def shape(self, message: Message) -> Json:
        """A message as this application gets it."""
        return shapes.message(message, self.world, content=bool(self.gateway.granted & MESSAGE_CONTENT))


Route = Callable[[Call], Json | list[Json] | None]


def announce(world: World, gateway: Gateway, message: Message, event: str = "MESSAGE_CREATE") -> None:
    """Tell the gateway of a message."""
    intent = GUILD_MESSAGES if message.channel.in_guild else DIRECT_MESSAGES
    granted = gateway.granted & MESSAGE_CONTENT
    gateway.tell(
        event,
        intent,
        lambda session: shapes.message_event(
            message, world, content=bool(granted and session.intents & MESSAGE_CONTENT)
        ),
    )


def begin_thread(
    world: World, gateway: Gateway, parent: Channel, source: Message | None, name: str, owner: User
) -> Channel:
    """A new thread, from a message (whose id it takes) or by itself."""
    thread_id = source.id if source is not None else world.new_id()
    thread = Channel(thread_id, name, THREAD, parent=parent, owner=owner)
    world.channels[thread_id] = thread
    gateway.tell("THREAD_CREATE", GUILDS, lambda _: {**shapes.channel(thread, world), "newly_created": True})
    if source is not None:
        starter = Message(
            world.new_id(), thread, source.author, kind=THREAD_STARTER, reference=source, read=True
        )
        world.add(starter)
        announce(world, gateway, starter)
    return thread
