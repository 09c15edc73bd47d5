"""One bot in several Slack workspaces: each is served by its own token, comes and goes by itself, and what
happens in one is nothing to the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from bot.messages import Choice, Place, Post
from bot.platforms.protocol import PlatformError
from bot.platforms.slack.installations import OWN, Installation
from bot.platforms.slack.seat import Seat
from bot.platforms.slack.workspaces import SlackWorkspaces
from bot.thread_posts import repository_menu
from session.database import DatabaseDown
from session.listing import SessionFilter
from tests.bot.rooms import Rooms
from tests.bot.slack_side import LOOK_SECONDS, Way, bot_on, slack_platform
from tests.bot.test_platform_contract import Notebook, running
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.faults import TooMany
from tests.emulators.slack.people import SlackPerson
from tests.emulators.slack.refusals import Json
from tests.emulators.slack.workspace import SECOND_TEAM_ID as SECOND
from tests.emulators.slack.workspace import TEAM_ID as HOME

FINDING = "Finding the repository"
LATER = timedelta(minutes=1)
MANY = [Choice(f"acme/service-{n}", f"acme/service-{n}") for n in range(150)]


class OnRecord:
    """The installations that a test wants served, and their tokens."""

    may_grow = True

    def __init__(self, *slacks: SlackEmulator) -> None:
        self.tokens: dict[Installation, str] = {}
        for slack in slacks:
            self.put(slack, datetime.now(UTC) - LATER)

    def put(self, slack: SlackEmulator, at: datetime, token: str = "") -> None:
        """The app is in that workspace since then, and not as it was before."""
        self._forget(slack.workspace.team_id)
        self.tokens[Installation(slack.workspace.team_id, at)] = token or slack.bot_token

    async def wanted(self) -> Sequence[Installation]:
        """See `Installations.wanted`."""
        return tuple(self.tokens)

    async def token(self, installation: Installation) -> str:
        """See `Installations.token`."""
        return self.tokens[installation]

    async def remove(self, team_id: str, at: datetime) -> bool:
        """See `Installations.remove`."""
        found = [i for i in self.tokens if i.team_id == team_id and i.installed_at and i.installed_at <= at]
        self._forget(team_id if found else "none")
        return bool(found)

    def _forget(self, team_id: str) -> None:
        self.tokens = {i: token for i, token in self.tokens.items() if i.team_id != team_id}


@asynccontextmanager
async def two_workspaces() -> AsyncIterator[tuple[SlackEmulator, SlackEmulator]]:
    """Two workspaces that one app can be in."""
    async with (
        SlackEmulator(allow_unread=True) as home,
        SlackEmulator(allow_unread=True, team_id=SECOND, beside=home) as second,
    ):
        yield home, second


@asynccontextmanager
async def bot_in(
    home: SlackEmulator, second: SlackEmulator, rooms: Rooms, record: OnRecord, way: Way = "socket"
) -> AsyncIterator[SlackWorkspaces]:
    """The bot, in those of the two that are on record."""
    platform = slack_platform(home, way, installations=record, repositories=MANY)
    async with bot_on(home, rooms, way, platform=platform):
        second.deliveries.transport = home.deliveries.transport
        yield platform
        second.deliveries.hold()
        await second.wait_for_delivery()


async def sessions_in(rooms: Rooms, team: str) -> list[str]:
    """Ids of the sessions that live in the workspace."""
    rows = await rooms.log.sessions(SessionFilter(limit=200))
    views = [await rooms.log.view(row.id) for row in rows]
    return [view.id for view in views if view.origin.workspace == team]


@pytest.mark.parametrize("way", ["socket", "http"])
async def test_each_workspace_is_served_by_its_own_token(rooms: Rooms, way: Way) -> None:
    async with (
        two_workspaces() as (home, second),
        bot_in(home, second, rooms, OnRecord(home, second), way) as platform,
    ):
        for slack, team in ((home, HOME), (second, SECOND)):
            ada, channel = slack.person("Ada"), slack.channel("billing")
            request = await ada.say(channel, "round invoices half up")
            await slack.wait_for_post(request, FINDING)
            (session_id,) = await sessions_in(rooms, team)
            place = Place(team, channel.id, request.ts)
            await platform.post(place, repository_menu(session_id, "Which one?", (), MANY), "k1")
            menu = await slack.wait_for_post(request, "Which one?")
            found = await ada.search(menu, "bellhop:pick_repository:menu", "service-149")
            assert [option["value"] for option in found] == ["acme/service-149"]
            await rooms.start_turn(session_id)
            card = await slack.wait_for_post(request, "Working")
            await ada.press(card, "Stop")
            await slack.wait_for_post(request, "Stopped by Ada")
            answer = await ada.command(channel, "/bellhop", "sessions")
            assert answer is not None
            assert "round invoices" in answer["text"]
            await ada.open_home()
            await slack.wait_for(partial(_has_home, ada))
        assert len(await rooms.sessions()) == 2


def _has_home(person: SlackPerson) -> bool:
    return person.home is not None


async def test_workspaces_come_and_go_while_the_others_are_served(
    rooms: Rooms, capfd: pytest.CaptureFixture[str]
) -> None:
    record = OnRecord()
    async with two_workspaces() as (home, second):
        platform = slack_platform(home, installations=record)
        second.deliveries.transport = home.deliveries.transport
        async with rooms.serving(platform):
            assert not home.sockets.connections, "nobody has installed it yet, and it waits"
            record.put(home, datetime.now(UTC) - LATER)
            await home.wait_for_connection()
            record.put(second, datetime.now(UTC) - LATER)
            ada, channel = second.person("Ada"), second.channel("billing")
            request = await ada.say(channel, "round invoices half up")
            await second.wait_for_post(request, FINDING)
            (session_id,) = await rooms.sessions()

            second.uninstall()
            await second.wait_for_delivery()
            assert [installation.team_id for installation in record.tokens] == [HOME]
            place = Place(SECOND, channel.id, request.ts)
            await served_no_longer(platform, place)
            await rooms.start_turn(session_id)
            elsewhere = await home.person("Grace").say(home.channel("general"), "and the credit notes")
            await home.wait_for_post(elsewhere, FINDING)

            second.install_again()
            record.put(second, datetime.now(UTC) + LATER)
            later = await ada.say(channel, "the older ones too", thread=request)
            await second.wait_for(lambda: second.workspace.bot.name in later.reacted("eyes"))
            await second.wait_for_post(request, "Working")
            for late in [sent.payload for sent in second.sent if says_goodbye(sent.payload)][:2]:
                second.deliveries.event(late)
            await second.wait_for_delivery()
            await platform.post(place, Post("notice", session_id, "Still here."), "k1")
            await second.wait_for_post(request, "Still here.")
            # As when an admin removes it on the page: off the record first, and then Slack tells.
            record.tokens = {i: token for i, token in record.tokens.items() if i.team_id == HOME}
            second.uninstall()
            await second.wait_for_delivery()
        assert {call.error for call in second.calls_to("auth.test")} == {None}
    said = "".join(capfd.readouterr())
    assert said.count("slack.uninstalled") == 1
    assert "slack.other_workspace" not in said
    assert said.count("slack.installed_since") == 2


async def served_no_longer(platform: SlackWorkspaces, place: Place) -> None:
    """Returns once the workspace has ended; until then its token is refused, with the same for the feed."""
    async with asyncio.timeout(60):
        while True:
            try:
                await platform.thread(place, 1)
            except PlatformError as gone:
                if "no longer" in str(gone):
                    return


def says_goodbye(payload: Json) -> bool:
    """Whether it tells that the app was taken away."""
    return payload.get("event", {}).get("type") in ("app_uninstalled", "tokens_revoked")


async def test_a_refused_token_ends_nobody_else(rooms: Rooms, capfd: pytest.CaptureFixture[str]) -> None:
    async with two_workspaces() as (home, second):
        record = OnRecord(home)
        record.put(second, datetime.now(UTC) - LATER, "xoxb-of-nobody")
        async with bot_in(home, second, rooms, record):
            ada = second.person("Ada")
            unheard = await ada.say(second.channel("billing"), "round invoices half up")
            await second.wait_for_delivery()
            request = await home.person("Ada").say(home.channel("billing"), "round invoices half up")
            await home.wait_for_post(request, FINDING)
            assert len(await rooms.sessions()) == 1
            assert [violation for violation in home.take_violations() if "invalid_auth" in violation]

            record.put(second, datetime.now(UTC))
            heard = await ada.say(second.channel("general"), "round invoices half up")
            await second.wait_for_post(heard, FINDING)
            await second.wait_for_post(unheard, FINDING)
    said = "".join(capfd.readouterr())
    assert said.count("slack.workspace_refused") == 1


class ReadWrongly(OnRecord):
    """Whose token of the second workspace cannot be read at first, in a way that nobody thought of."""

    is_wrong = True

    async def token(self, installation: Installation) -> str:
        """See `Installations.token`. Raises: ValueError, the first time."""
        if installation.team_id == SECOND and self.is_wrong:
            self.is_wrong = False
            raise ValueError("a row that is none")
        return await super().token(installation)


class Watched(OnRecord):
    """Counts what it is asked for."""

    def __init__(self, *slacks: SlackEmulator) -> None:
        super().__init__(*slacks)
        self.tokens_given = 0
        self._looked = asyncio.Event()

    async def wanted(self) -> Sequence[Installation]:
        """See `Installations.wanted`."""
        self._looked.set()
        return await super().wanted()

    async def token(self, installation: Installation) -> str:
        """See `Installations.token`."""
        self.tokens_given += 1
        return await super().token(installation)

    async def looked_at(self) -> None:
        """Return once a look that begins now is over."""
        for _ in range(2):
            self._looked.clear()
            await asyncio.wait_for(self._looked.wait(), 60)


class WithoutDatabase(Notebook):
    """An inbox that cannot say in which threads sessions live, until `is_back`."""

    failures, is_back = 0, False

    async def lively_threads(self, workspace: str, within: timedelta, most: int) -> Sequence[Place]:
        """Raises: DatabaseDown."""
        if self.is_back:
            return ()
        self.failures += 1
        raise DatabaseDown(f"away for the {self.failures}. time")


class Clock:
    """Seconds that pass when a test says so."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def test_what_keeps_failing_waits_longer_each_time_and_keeps_its_token(
    capfd: pytest.CaptureFixture[str],
) -> None:
    clock, inbox, said = Clock(), WithoutDatabase(), ""
    async with SlackEmulator() as slack:
        record = Watched(slack)
        platform = slack_platform(slack, installations=record, now=clock)
        async with running(platform, inbox):
            for number, wait in enumerate((LOOK_SECONDS, 2 * LOOK_SECONDS, 4 * LOOK_SECONDS), 1):
                while f"away for the {number}. time" not in said:
                    await record.looked_at()
                    said += "".join(capfd.readouterr())
                clock.seconds += 0.9 * wait
                await record.looked_at()
                assert inbox.failures == number
                inbox.is_back = number == 3
                clock.seconds += 0.2 * wait
            await slack.person("Ada").say(slack.channel("billing"), "round invoices half up")
            await asyncio.wait_for(inbox.spoken_to.wait(), 60)
        assert record.tokens_given == 1

    seat = Seat(OWN, HOME)
    for wait in (5, 10, 20, 40, 60, *[60] * 2_000):
        seat.wait(1.0, 5.0)
        assert seat.due == 1.0 + wait
    seat.settle()
    seat.wait(1.0, 5.0)
    assert seat.due == 6.0


async def test_what_nobody_thought_of_in_one_workspace_ends_no_other(
    rooms: Rooms, capfd: pytest.CaptureFixture[str]
) -> None:
    async with two_workspaces() as (home, second), bot_in(home, second, rooms, ReadWrongly(home, second)):
        for slack in (home, second):
            request = await slack.person("Ada").say(slack.channel("billing"), "round invoices half up")
            await slack.wait_for_post(request, FINDING)
    assert "ValueError: a row that is none" in "".join(capfd.readouterr())


async def test_where_only_a_bot_token_is_set_it_is_said_that_the_app_was_taken_away(
    rooms: Rooms, capfd: pytest.CaptureFixture[str]
) -> None:
    async with SlackEmulator() as slack, bot_on(slack, rooms):
        slack.uninstall()
        await slack.wait_for_delivery()
    said = "".join(capfd.readouterr())
    assert said.count("slack.uninstalled") == 1
    assert "SLACK_BOT_TOKEN" in said


async def test_one_workspace_that_asks_for_patience_holds_up_no_other(rooms: Rooms) -> None:
    async with two_workspaces() as (home, second), bot_in(home, second, rooms, OnRecord(home, second)):
        second.fail_next("chat.postMessage", TooMany(3600))
        slow = await second.person("Ada").say(second.channel("billing"), "round invoices half up")
        await second.wait_for(lambda: second.calls_to("chat.postMessage"))
        request = await home.person("Ada").say(home.channel("billing"), "round invoices half up")
        await home.wait_for_post(request, FINDING)
        (session_id,) = await sessions_in(rooms, HOME)
        await rooms.start_turn(session_id)
        await home.wait_for_post(request, "Working")
        assert second.posts(slow) == []


def seen_by_both(held: Sequence[Json]) -> Iterator[Json]:
    """Each event once, as seen by the installations in both workspaces, the other one first."""
    for payload in held:
        (own,) = payload["authorizations"]
        yield {**_shared(payload), "authorizations": [{**own, "team_id": SECOND}, own]}


def told_by_the_other(held: Sequence[Json]) -> Iterator[Json]:
    """Each event once, as seen by the installation of the other workspace."""
    for payload in held:
        yield _of(payload, SECOND, _shared(payload)["team_id"])


def once_for_each(held: Sequence[Json]) -> Iterator[Json]:
    """Each event once for each workspace."""
    for payload in held:
        yield _of(payload, SECOND, SECOND)
        yield _of(payload, HOME, HOME)


def _shared(payload: Json) -> Json:
    """As Slack tells it of a channel that organisations share: with where the author comes from."""
    event = payload["event"]
    origin = {"user_team": HOME, "source_team": HOME} if event["type"] == "message" else {}
    return {**payload, "is_ext_shared_channel": True, "event": {**event, **origin}}


def _of(payload: Json, authorized: str, team: str) -> Json:
    authorizations = [{**entry, "team_id": authorized} for entry in payload["authorizations"]]
    return {**_shared(payload), "team_id": team, "context_team_id": team, "authorizations": authorizations}


@pytest.mark.parametrize("order", [seen_by_both, told_by_the_other, once_for_each])
async def test_a_channel_that_two_of_ours_share_is_heard_once(
    rooms: Rooms, order: Callable[[Sequence[Json]], Iterator[Json]]
) -> None:
    async with two_workspaces() as (home, second), bot_in(home, second, rooms, OnRecord(home, second)):
        ada, channel = home.person("Ada"), home.channel("shared")
        second.share(channel, ada)
        async with home.held_events(order):
            request = await ada.say(channel, "round invoices half up")
        await home.wait_for_delivery()
        async with home.held_events(order):
            await ada.say(channel, "and the credit notes", thread=request, mention_bot=False)
        await home.wait_for_delivery()
        session_id = await rooms.only_session()
        view = await rooms.log.view(session_id)
        assert (len(view.prompts), view.origin.workspace) == (2, HOME)
        await home.wait_for_post(request, FINDING)
        await rooms.start_turn(session_id)
        await rooms.ask_approval(session_id)
        question = await home.wait_for_post(request, "Round half up")
        async with home.held_events(order):
            await ada.react(question, "white_check_mark")
        await home.wait_for_delivery()
        approval = (await rooms.log.view(session_id)).approval("a1")
        assert approval is not None
        assert approval.state == "given"
        assert not second.calls_to("chat.postMessage")
        assert not [found for found in home.thread(request) if found.ephemeral_for]


async def test_two_workspaces_of_one_organisation_take_a_request_once(rooms: Rooms) -> None:
    """Its people are members of both, and its channels are not marked as shared with anybody."""

    def once_for_both(held: Sequence[Json]) -> Iterator[Json]:
        for payload in once_for_each(held):
            yield {**payload, "is_ext_shared_channel": False}

    async with two_workspaces() as (home, second), bot_in(home, second, rooms, OnRecord(home, second)):
        ada, channel = home.person("Ada"), home.channel("everybody")
        second.share(channel, ada, as_members=True)
        said = await ada.say(channel, "invoices are rounded down", mention_bot=False)
        await home.wait_for_delivery()
        async with home.held_events(once_for_both):
            await ada.react(said, "bellhop_bell")
        await home.wait_for_delivery()
        view = await rooms.log.view(await rooms.only_session())
        assert len(view.prompts) == 1


async def test_each_workspace_catches_up_by_itself(rooms: Rooms) -> None:
    async with (
        SlackEmulator(allow_unread=True, subscriptions=()) as home,
        SlackEmulator(allow_unread=True, subscriptions=(), team_id=SECOND, beside=home) as second,
    ):
        asked = [
            (slack, await slack.person("Ada").say(slack.channel("billing"), "round invoices half up"))
            for slack in (home, second)
        ]
        async with bot_in(home, second, rooms, OnRecord(home, second)):
            for slack, request in asked:
                await slack.wait_for_post(request, FINDING)
        assert len(await rooms.sessions()) == 2


async def test_who_installs_where_a_bot_token_is_set_gives_a_newer_one(rooms: Rooms) -> None:
    async with SlackEmulator(allow_unread=True) as home:
        record = OnRecord()
        record.tokens[OWN] = home.bot_token
        ada, channel = home.person("Ada"), home.channel("billing")
        async with bot_on(home, rooms, platform=slack_platform(home, installations=record)):
            first = await ada.say(channel, "round invoices half up")
            await home.wait_for_post(first, FINDING)
            home.install_again()
            record.put(home, datetime.now(UTC))
            await home.wait_for(lambda: len(home.calls_to("auth.test")) > 1)
            await home.wait_for_delivery()
            second = await ada.say(channel, "and the credit notes")
            await home.wait_for_post(second, FINDING)
