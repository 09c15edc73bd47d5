"""A Discord guild on loopback: strict like the real one, with people a test can act as."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self, TypeVar

from aiohttp import web

from tests.emulators.discord.call import announce
from tests.emulators.discord.faults import Fault
from tests.emulators.discord.gateway import MESSAGE_CONTENT, Gateway
from tests.emulators.discord.interactions import SAY_LATER, Interaction, Interactions
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.rate_limits import RateLimiter, RateLimits
from tests.emulators.discord.rest import ApiCall, Rest
from tests.emulators.discord.shapes import MESSAGE_CONTENT_LIMITED
from tests.emulators.discord.world import DM, TEXT, Channel, Message, Role, User, World
from tests.emulators.slack.watch import Watch

T = TypeVar("T")
WAIT_SECONDS = 60.0
USUAL_LIMITS = RateLimits()


class DiscordMisused(AssertionError):
    """The app did what the real Discord would refuse, or said something the test did not look at."""


class DiscordEmulator:
    """`async with DiscordEmulator() as discord:` gives `discord.api_url`, `discord.gateway_url`,
    `discord.token` and `discord.guild_id`, the settings an app needs.

    Leaving the block fails the test on rules broken (`violations`), faults never met, and, unless
    `allow_unread`, on messages of the bot that nobody read. `message_content`: whether the application was
    given that intent; `flag_lies`: whether its flags say so all the same.
    """

    def __init__(
        self,
        *,
        message_content: bool = True,
        flag_lies: bool = False,
        rate_limits: RateLimits = USUAL_LIMITS,
        allow_unread: bool = False,
    ) -> None:
        self.token = "emulated.discord.token"
        self.base_url = ""
        self._watch = Watch()
        self._late = 0.0
        self.world = World(self._watch)
        self._flags = MESSAGE_CONTENT_LIMITED if message_content or flag_lies else 0
        granted = MESSAGE_CONTENT if message_content else 0
        self.gateway = Gateway(self.world, self.token, granted, lambda: self._flags)
        self.interactions = Interactions(self.world, self._clock, self._announce, self._violated)
        self._rest = Rest(
            self.world,
            self.gateway,
            self.interactions,
            self.token,
            lambda: self._flags,
            RateLimiter(rate_limits, time.monotonic),
        )
        self._allow_unread = allow_unread
        self._stack = AsyncExitStack()

    # What the app needs to know

    @property
    def api_url(self) -> str:
        """The REST API's address, as `DISCORD_API_URL` wants it."""
        return f"{self.base_url}/api/v10"

    @property
    def gateway_url(self) -> str:
        """The gateway's address, as `DISCORD_GATEWAY_URL` wants it."""
        return f"{self.base_url.replace('http', 'ws', 1)}/gateway"

    @property
    def guild_id(self) -> str:
        """The guild, as `DISCORD_GUILD` wants it."""
        return str(self.world.guild_id)

    # The guild

    def person(
        self,
        name: str,
        *,
        member: bool = True,
        pending: bool = False,
        bot: bool = False,
        roles: set[int] | None = None,
        takes_messages: bool = True,
    ) -> DiscordPerson:
        """Someone new. `takes_messages`: whether they let the bot write to them directly."""
        user = User(self.world.new_id(), name, bot, member, pending, roles or set(), takes_messages)
        self.world.users[user.id] = user
        return DiscordPerson(user, self.world, self.gateway, self.interactions, self.base_url)

    def channel(
        self, name: str, *, topic: str = "", kind: int = TEXT, denied: set[str] | None = None
    ) -> Channel:
        """A new channel; `denied`: what the bot may not do there. Made before the bot connects."""
        channel = Channel(self.world.new_id(), name, kind, topic, denied=denied or set())
        self.world.channels[channel.id] = channel
        return channel

    def role(self, name: str) -> int:
        """A new role; its id."""
        role = Role(self.world.new_id(), name, 0)
        self.world.roles[role.id] = role
        return role.id

    # Reading

    def thread(self, message: Message) -> list[Message]:
        """What stands in the thread of a message (its direct channel), oldest first; marks it read."""
        place = self._place(message)
        found = list(self.world.in_channel(place, asides=True)) if place else []
        for one in found:
            one.read = True
        return found

    def posts(self, message: Message) -> list[Message]:
        """What the bot wrote there for everybody; marks it read."""
        own = [found for found in self.thread(message) if found.author is self.world.bot]
        return [found for found in own if found.only_for is None and found.kind != 21]

    def channel_messages(self, channel: Channel) -> list[Message]:
        """Everything in a channel; marks it read."""
        found = list(self.world.in_channel(channel, asides=True))
        for one in found:
            one.read = True
        return found

    def asides(self, person: DiscordPerson) -> list[Message]:
        """What only this person sees: in channels, and in direct messages; marks it read."""
        found = [
            message
            for message in self.world.messages
            if message.author is self.world.bot
            and (message.only_for is person.user or message.channel.recipient is person.user)
        ]
        for message in found:
            message.read = True
        return found

    def transcript(self) -> str:
        """All that is said, as text; marks nothing read."""
        return "\n".join(_line(message) for message in self.world.messages if not message.deleted)

    async def wait_for(self, look: Callable[[], T], timeout_seconds: float = WAIT_SECONDS) -> T:
        """The first truthy value of `look`, asked anew at every change. Raises: TimeoutError."""
        return await self._watch.wait_for(look, timeout_seconds, self.transcript)

    async def wait_for_post(
        self, message: Message, containing: str, timeout_seconds: float = WAIT_SECONDS
    ) -> Message:
        """A message of the bot in the thread of `message` which shows `containing`; marks it read."""

        def look() -> Message | None:
            place = self._place(message)
            found = self.world.in_channel(place) if place else ()
            bot = self.world.bot
            return next((m for m in found if m.author is bot and containing in m.shown), None)

        found = await self.wait_for(look, timeout_seconds)
        assert found is not None
        found.read = True
        return found

    async def wait_for_aside(
        self, person: DiscordPerson, containing: str, timeout_seconds: float = WAIT_SECONDS
    ) -> Message:
        """Something only this person sees which shows `containing`; marks it read."""

        def look() -> Message | None:
            own = (m for m in self.world.messages if m.author is self.world.bot and containing in m.shown)
            return next((m for m in own if person.user in (m.only_for, m.channel.recipient)), None)

        found = await self.wait_for(look, timeout_seconds)
        assert found is not None
        found.read = True
        return found

    async def wait_for_connection(self, timeout_seconds: float = WAIT_SECONDS) -> None:
        """Return once the app has a live session."""
        await self.wait_for(lambda: self.gateway.live, timeout_seconds)

    def marks(self, message: Message) -> set[str]:
        """The bot's own emoji under a message."""
        return {name for name, ids in message.reactions.items() if self.world.bot.id in ids}

    @property
    def calls(self) -> list[ApiCall]:
        """Every call so far."""
        return self._rest.calls

    def calls_to(self, route: str) -> list[ApiCall]:
        """The calls of one route."""
        return [call for call in self._rest.calls if call.route == route]

    # Making things go wrong

    def fail_next(self, route: str, *faults: Fault) -> None:
        """Let the next calls of `route` meet `faults`, one each."""
        self._rest.fail_next(route, faults)

    def let_time_pass(self, seconds: float) -> None:
        """Interactions are that much older from now on. By themselves they do not age, so that a busy machine
        makes none too old.
        """
        self._late += seconds

    # The verdict

    @property
    def violations(self) -> list[str]:
        """Rules the app has broken so far."""
        return [*self._rest.violations, *self.gateway.violations]

    def take_violations(self) -> list[str]:
        """The rules broken so far, which then no longer fail the test."""
        taken = self.violations
        self._rest.violations.clear()
        self.gateway.violations.clear()
        return taken

    @property
    def open_interactions(self) -> list[Interaction]:
        """Interactions whose answer was announced and never came."""
        waiting = [i for i in self.interactions.all if i.answer == SAY_LATER and i.original is None]
        return [interaction for interaction in waiting if not interaction.ended]

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=20_000_000)
        app.router.add_get("/gateway/", self.gateway.handle)
        app.router.add_get("/gateway", self.gateway.handle)
        app.router.add_get("/attachments/{id}/{name}", self._attachment)
        app.router.add_route("*", "/api/v10/{path:.*}", self._rest.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self.gateway.url = self.gateway_url
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.gateway.drop()
        await self._stack.aclose()
        if error is None:
            self._check()

    def _check(self) -> None:
        if self.violations:
            raise DiscordMisused("the real Discord would object:\n" + "\n".join(self.violations))
        if self._rest.unused_faults:
            raise DiscordMisused(f"faults never met: {self._rest.unused_faults}")
        if self.open_interactions:
            raise DiscordMisused(
                f"{len(self.open_interactions)} interactions were left waiting for an answer"
            )
        unread = self.world.unread()
        if unread and not self._allow_unread:
            raise DiscordMisused("messages nobody read:\n" + "\n".join(m.shown for m in unread))

    async def _attachment(self, request: web.Request) -> web.Response:
        wanted = int(request.match_info["id"])
        for message in self.world.messages:
            for upload in message.uploads:
                if upload.id == wanted:
                    return web.Response(body=upload.content, content_type=upload.media_type)
        return web.Response(status=404)

    def _clock(self) -> float:
        return self._late

    def _announce(self, message: Message) -> None:
        announce(self.world, self.gateway, message)

    def _violated(self, said: str) -> None:
        self._rest.violations.append(said)

    def _place(self, message: Message) -> Channel | None:
        if message.channel.kind == DM or message.channel.is_thread:
            return message.channel
        return self.world.thread_of(message)


def _line(message: Message) -> str:
    place = f"#{message.channel.name}{' >' if message.channel.is_thread else ''}"
    aside = f" (only {message.only_for.name} sees)" if message.only_for else ""
    reactions = " ".join(name for name, ids in message.reactions.items() if ids)
    return f"{place} {message.author.name}{aside}: {message.shown} {reactions}".rstrip()
