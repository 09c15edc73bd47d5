"""A Slack workspace on loopback: strict like the real one, with people a test can act as."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
from aiohttp import web

from tests.emulators.slack.deliveries import ACK_SECONDS, Deliveries, Envelope
from tests.emulators.slack.event_feed import EventFeed
from tests.emulators.slack.faults import Fault
from tests.emulators.slack.http_delivery import HttpDelivery
from tests.emulators.slack.method_rules import ALL_BOT_SCOPES, EVENT_SCOPES
from tests.emulators.slack.oauth import SlackOAuth
from tests.emulators.slack.people import SlackPerson
from tests.emulators.slack.rate_limits import RateLimiter, RateLimits
from tests.emulators.slack.refusals import Json
from tests.emulators.slack.side_doors import SideDoors
from tests.emulators.slack.socket_mode import SocketMode
from tests.emulators.slack.views import TRIGGER_SECONDS, View, Views
from tests.emulators.slack.watch import Watch
from tests.emulators.slack.web_api import ApiCall, Credentials, WebApi
from tests.emulators.slack.workspace import TEAM_ID, Channel, ChannelKind, Message, User, Workspace

T = TypeVar("T")
WAIT_SECONDS = 60.0
USUAL_LIMITS = RateLimits()


class SlackMisused(AssertionError):
    """The app did what the real Slack would refuse, or said something the test did not look at."""


class SlackEmulator:
    """`async with SlackEmulator() as slack:` gives `slack.api_url`, `slack.bot_token`, `slack.app_token`
    and `slack.signing_secret`, the four settings an app needs.

    `trigger_seconds`: how long what a person does allows a modal to be opened. `beside`: a workspace that the
    app is in already: this one, `team_id`, is reached at the same address, and delivers to the same door.

    Leaving the block fails the test on rules broken (`violations`), events never acknowledged, faults never
    met, and, unless `allow_unread`, on messages of the bot that nobody read.
    """

    def __init__(
        self,
        *,
        bot_scopes: Iterable[str] = ALL_BOT_SCOPES,
        subscriptions: Iterable[str] = tuple(EVENT_SCOPES),
        rate_limits: RateLimits | None = USUAL_LIMITS,
        agent_surface: bool = False,
        ack_seconds: float = ACK_SECONDS,
        allow_unread: bool = False,
        trigger_seconds: float = TRIGGER_SECONDS,
        team_id: str = TEAM_ID,
        beside: SlackEmulator | None = None,
    ) -> None:
        self.app_token = "xapp-emulated"
        self.signing_secret = "emulated-signing-secret"
        self.base_url = ""
        self._watch = Watch()
        self._beside = beside
        self.workspace: Workspace = Workspace(self._watch, team_id, beside.workspace if beside else None)
        own_sockets = SocketMode(self.workspace, self._watch, ack_seconds)
        self.sockets: SocketMode = beside.sockets if beside else own_sockets
        self.deliveries = Deliveries(self.sockets, self._watch)
        scopes = frozenset(bot_scopes)
        self._feed = EventFeed(self.workspace, self.deliveries.event, subscriptions, scopes)
        self._views = Views(self.workspace, trigger_seconds)
        self._api = WebApi(
            self.workspace,
            self._feed,
            self._views,
            Credentials(f"xoxb-{team_id}-1", self.app_token, self.signing_secret, scopes),
            RateLimiter(rate_limits, time.monotonic) if rate_limits else None,
            agent_surface,
            self._new_socket_url,
        )
        if beside is not None:
            self.deliveries.transport = beside.deliveries.transport
            beside._api.beside.append(self._api)
        self.oauth = SlackOAuth(known_scopes=ALL_BOT_SCOPES, take_away=self._api.take_away)
        self._ack_seconds = ack_seconds
        self._allow_unread = allow_unread
        self._stack = AsyncExitStack()

    # What the app needs to know

    @property
    def api_url(self) -> str:
        """The Web API's address, as `SLACK_API_URL` wants it."""
        return self._beside.api_url if self._beside else f"{self.base_url}/api/"

    @property
    def bot_token(self) -> str:
        """The token of the app in this workspace."""
        return self._api.credentials.bot_token

    def uninstall(self) -> None:
        """An admin takes the app away: its token is refused, and the app is told."""
        self._api.uninstall()

    def install_again(self) -> str:
        """An admin allows the app once more; the new token. The one before is refused from now on."""
        credentials = self._api.credentials
        credentials.revoked.add(credentials.bot_token)
        credentials.bot_token = f"xoxb-{self.workspace.team_id}-{len(credentials.revoked) + 1}"
        return credentials.bot_token

    # The workspace

    def person(
        self,
        name: str,
        *,
        is_restricted: bool = False,
        is_ultra_restricted: bool = False,
        is_stranger: bool = False,
        email: str | None = None,
    ) -> SlackPerson:
        """Someone new: a member, or a guest, or a stranger from a connected workspace.

        `email` None means `<name>@emulated.example`, and none for strangers, whose address Slack hides.
        """
        address = "" if is_stranger else f"{name.lower()}@emulated.example"
        user = User(
            self.workspace.new_id("U"),
            name,
            is_restricted,
            is_ultra_restricted,
            is_stranger,
            email=address if email is None else email,
            home=self.workspace.team_id,
        )
        self.workspace.users[user.id] = user
        scopes = self._api.credentials.bot_scopes
        return SlackPerson(
            user, self.workspace, self._feed, self.deliveries, self._views, self.base_url, scopes
        )

    def channel(
        self, name: str, *, topic: str = "", kind: ChannelKind = "channel", with_bot: bool = True
    ) -> Channel:
        """A new channel (`group` means private)."""
        return self.workspace.add_channel(name, topic, kind, {self.workspace.bot.id} if with_bot else set())

    def share(self, channel: Channel, *people: SlackPerson, as_members: bool = False) -> None:
        """A channel of the workspace beside is one of this one too, with the bot of this one and `people`.

        They are strangers here, unless both workspaces are of one organisation (`as_members`).
        """
        channel.members.add(self.workspace.bot.id)
        self.workspace.channels[channel.id] = channel
        home = self.workspace.team_id
        for person in people:
            here = User(
                person.id, person.name, is_stranger=not as_members, email=person.user.email, home=home
            )
            self.workspace.users[person.id] = here

    def custom_emoji(self, *names: str) -> None:
        """Give the workspace emoji of its own."""
        self.workspace.custom_emoji |= {name: f"https://emoji.example/{name}.png" for name in names}

    # Reading

    def thread(self, message: Message) -> list[Message]:
        """The thread `message` is in, oldest first, ephemeral messages included; marks them read."""
        found = self.workspace.in_thread(message.channel, message.root_ts)
        return self._mark_read(found)

    def posts(self, message: Message) -> list[Message]:
        """What the bot wrote in the thread `message` is in; marks them read."""
        return [found for found in self.thread(message) if found.author is self.workspace.bot]

    def channel_messages(self, channel: Channel) -> list[Message]:
        """Everything in a channel; marks it read."""
        return self._mark_read(list(self.workspace.in_channel(channel)))

    def transcript(self) -> str:
        """All that is said, as text; marks nothing read."""
        return "\n".join(_line(message) for message in self.workspace.messages if not message.deleted)

    async def wait_for(self, look: Callable[[], T], timeout_seconds: float = WAIT_SECONDS) -> T:
        """The first truthy value of `look`, which is asked anew whenever anything has changed.

        Raises:
            TimeoutError: there was none in time; its message carries the transcript.
        """
        return await self._watch.wait_for(look, timeout_seconds, self.transcript)

    async def wait_for_post(
        self, message: Message, containing: str, timeout_seconds: float = WAIT_SECONDS
    ) -> Message:
        """A message of the bot in that thread which shows `containing`; marks it read."""

        def look() -> Message | None:
            thread = self.workspace.in_thread(message.channel, message.root_ts)
            bot = self.workspace.bot
            return next((m for m in thread if m.author is bot and containing in m.shown), None)

        found = await self.wait_for(look, timeout_seconds)
        assert found is not None
        found.read = True
        return found

    async def wait_for_delivery(self, timeout_seconds: float = WAIT_SECONDS) -> None:
        """Return once the app has acknowledged every event sent so far."""
        await self.wait_for(lambda: self.deliveries.idle, timeout_seconds)

    async def wait_for_connection(self, timeout_seconds: float = WAIT_SECONDS) -> None:
        """Return once the app has a socket open."""
        await self.wait_for(lambda: self.sockets.connections, timeout_seconds)

    def agent_status(self, message: Message) -> str:
        """What Slack shows of the agent in the thread `message` is in; empty where it shows nothing."""
        session = self.workspace.agent_sessions.get((message.channel.id, message.root_ts))
        return session.status if session else ""

    @property
    def modals(self) -> list[View]:
        """The modals people have open."""
        return [view for stack in self._views.modals.values() for view in stack]

    @property
    def sent(self) -> list[Envelope]:
        """What was delivered to the app, or tried, oldest first."""
        return self.deliveries.transport.sent

    @property
    def calls(self) -> list[ApiCall]:
        """Every Web API call so far."""
        return self._api.calls

    def calls_to(self, method: str) -> list[ApiCall]:
        """The calls of one method."""
        return [call for call in self._api.calls if call.method == method]

    # Making things go wrong

    def fail_next(self, method: str, *faults: Fault) -> None:
        """Let the next calls of `method` meet `faults`, one each."""
        self._api.fail_next(method, faults)

    def repeat_events(self, copies: int) -> None:
        """Deliver each event `copies` times from now on, under one event id."""
        self.deliveries.copies = copies

    @asynccontextmanager
    async def held_events(
        self, order: Callable[[Sequence[Json]], Iterable[Json]] = reversed
    ) -> AsyncIterator[None]:
        """Keep events back inside the block, and deliver them at its end in the order `order` puts them."""
        self.deliveries.hold()
        try:
            yield
        finally:
            self.deliveries.let_go(order)

    async def use_http(self, events_url: str, interactive_url: str) -> HttpDelivery:
        """Deliver by signed HTTP requests instead of sockets, after the challenge is answered."""
        http = await self._stack.enter_async_context(aiohttp.ClientSession())
        delivery = HttpDelivery(http, self.signing_secret, events_url, interactive_url, self._ack_seconds)
        await delivery.verify_url()
        self.deliveries.transport = delivery
        return delivery

    # The verdict

    @property
    def violations(self) -> list[str]:
        """Rules the app has broken so far."""
        return [*self._api.violations, *self.sockets.violations, *self.oauth.violations]

    def take_violations(self) -> list[str]:
        """The rules broken so far, which then no longer fail the test."""
        taken = self.violations
        self._api.violations.clear()
        self.sockets.violations.clear()
        self.oauth.violations.clear()
        return taken

    @property
    def unread(self) -> list[Message]:
        """Messages of the bot the test has not looked at."""
        bot = self.workspace.bot
        return [m for m in self.workspace.messages if m.author is bot and not m.read and not m.deleted]

    async def __aenter__(self) -> Self:
        doors = SideDoors(
            self.workspace, self._feed, self._views, self._api.credentials, self._api.violations.append
        )
        app = web.Application(client_max_size=20_000_000)
        app.router.add_routes(self.oauth.routes())
        app.router.add_route("*", "/api/{method}", self._api.handle)
        app.router.add_get("/link/", self.sockets.handle)
        app.router.add_get("/files/{id}/{name}", doors.download)
        app.router.add_post("/response/{ticket}", doors.respond)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.deliveries.forget()
        self._api.release_all()
        self.sockets.drop()
        await self._stack.aclose()
        if error is None:
            self._check()

    def _check(self) -> None:
        if self.violations:
            raise SlackMisused("the real Slack would object:\n" + "\n".join(self.violations))
        if self.deliveries.given_up:
            raise SlackMisused(f"events never acknowledged: {self.deliveries.given_up}")
        if self._api.unused_faults:
            raise SlackMisused(f"faults never met: {self._api.unused_faults}")
        if self.unread and not self._allow_unread:
            raise SlackMisused("messages nobody read:\n" + "\n".join(m.shown for m in self.unread))

    def _mark_read(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            message.read = True
        return messages

    def _new_socket_url(self) -> str:
        return f"{self.base_url.replace('http', 'ws', 1)}/link/?ticket={self.sockets.new_ticket()}"


def _line(message: Message) -> str:
    place = f"#{message.channel.name}{' >' if message.thread_ts else ''}"
    aside = f" (only {message.name_of(message.ephemeral_for)} sees)" if message.ephemeral_for else ""
    reactions = " ".join(f":{name}:" for name in message.reactions)
    return f"{place} {message.author.name}{aside}: {message.shown} {reactions}".rstrip()
