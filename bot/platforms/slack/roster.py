"""The workspaces that are served, each by a task of its own: begun and ended as the app comes and goes."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from datetime import datetime

import structlog

from bot.platforms.protocol import Busy, Inbox, PlaceGone, PlatformError, Unreachable
from bot.platforms.slack.addressees import addressee, workspaces_named
from bot.platforms.slack.api import Json
from bot.platforms.slack.installations import OWN, Installation, Installations
from bot.platforms.slack.seat import Seat
from bot.platforms.slack.workspace import SlackWorkspace
from session.broker import BrokerDown, BrokerRefused
from session.database import DatabaseDown

LOOK_SECONDS = 5.0
"""How often it is looked which workspaces are wanted. Where something asks for it sooner: up to five times as
often.
"""

DELIVERY_SECONDS = 2.0
"""How long a delivery waits for its workspace. Slack gives up after three, and sends it again."""

PATIENCE_SECONDS = 10.0
"""How long something to be said waits for its workspace, before it is tried again later."""

_log = structlog.get_logger(__name__)


class Roster:
    """Serves what `installations` wants, with what `make` makes of a token.

    `served` holds the workspaces by their ids. `ready` is set once there was a first one. `now`: seconds that
    only grow, by which a workspace that did not go well waits.
    """

    def __init__(
        self,
        installations: Installations,
        make: Callable[[str], SlackWorkspace],
        look_seconds: float = LOOK_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ready = asyncio.Event()
        self._installations = installations
        self._make = make
        self._look_seconds = look_seconds
        self._now = now
        self._inbox: Inbox | None = None
        self._served: dict[str, SlackWorkspace] = {}
        self._seats: dict[Installation, Seat] = {}
        self._stored: frozenset[str] = frozenset()
        self._own_team, self._own_left = "", False
        self._over: PlatformError | None = None
        self._asked, self._changed, self._taking = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._begun = self._finished = 0
        self._looked_at = -math.inf

    @property
    def served(self) -> Mapping[str, SlackWorkspace]:
        """The workspaces that are served now, by their ids."""
        return self._served

    @property
    def is_running(self) -> bool:
        """Whether anything is served, or may be."""
        return self._inbox is not None

    async def run(self, inbox: Inbox, door: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        """Serve until cancelled. `door` is open once there is a first workspace.

        Raises: PlatformError, where Slack refuses the only one that there can be.
        """
        self._inbox = inbox
        async with asyncio.TaskGroup() as group:
            opened = group.create_task(self._keep_open(door), name="slack door")
            try:
                while self._over is None:
                    await self._look(group, inbox)
                    await self._pause()
            finally:
                # Before any workspace ends: what comes from now on is to come again, and not to be dropped.
                opened.cancel()
                await asyncio.wait([opened])
                self._inbox = None
        raise self._over

    async def addressed(self, body: Json) -> SlackWorkspace | None:
        """The workspace that takes the delivery; None: it is for none of ours.

        Raises: TimeoutError, when it cannot be told yet.
        """
        async with asyncio.timeout(DELIVERY_SECONDS):
            await self._settled(lambda: self._addressee(body) is not None, workspaces_named(body))
        name = self._addressee(body)
        return self._served[name] if name is not None else None

    async def at(self, team: str) -> SlackWorkspace:
        """The workspace with that id, waited for where it is just being connected.

        Raises: Unreachable, when that takes long; PlaceGone, when the app is not there.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._settled(lambda: team in self._served, {team})
        if team in self._served:
            return self._served[team]
        if self._may_come({team}):
            raise Unreachable(f"the Slack workspace {team} is not connected yet")
        raise PlaceGone(
            f"Bellhop is not, or no longer, in the Slack workspace {team}: what is to be said there is said "
            "once the app is installed again"
        )

    async def _settled(self, is_there: Callable[[], bool], teams: Collection[str]) -> None:
        """Returns once it is there, or a look that begins now has found none of `teams` that may yet be."""
        before = self._begun

        def is_settled() -> bool:
            looked = self._finished > before or not self._installations.may_grow
            return is_there() or (looked and not self._may_come(teams))

        if not is_there():
            self._asked.set()
            while not is_settled():
                await self._changed.wait()

    def _addressee(self, body: Json) -> str | None:
        return addressee(body, {team: served.bot.user_id for team, served in self._served.items()})

    def _may_come(self, teams: Collection[str]) -> bool:
        """Whether one of these may be served in a moment."""
        coming = [seat.team for seat in self._seats.values() if seat.state != "refused"]
        return not self._finished or any(not team or team in teams for team in coming)

    # Looking

    async def _look(self, group: asyncio.TaskGroup, inbox: Inbox) -> None:
        self._asked.clear()
        self._begun += 1
        self._looked_at = time.monotonic()
        try:
            wanted = await self._wanted()
        except DatabaseDown as down:
            _log.warning("slack.workspaces_unknown", detail=str(down))
            return
        for seat in [seat for seat in self._seats.values() if seat.installation not in wanted]:
            await self._end(seat)
        for installation in wanted:
            seat = self._seats.setdefault(installation, Seat(installation, installation.team_id))
            if seat.is_to_begin(self._now()):
                seat.state = "starting"
                seat.task = group.create_task(self._serve(seat, inbox), name=f"slack {seat.name}")
        self._finished = self._begun
        self._tell()

    async def _wanted(self) -> Sequence[Installation]:
        wanted = await self._installations.wanted()
        self._stored = frozenset(found.team_id for found in wanted if found != OWN)
        # Whoever installs the app in the workspace of SLACK_BOT_TOKEN gives it a token that is newer.
        return [found for found in wanted if found != OWN or self._own_team not in self._stored]

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._look_seconds):
                await self._asked.wait()
        if self._over is None:
            await asyncio.sleep(self._looked_at + self._look_seconds / 5 - time.monotonic())

    async def _end(self, seat: Seat) -> None:
        del self._seats[seat.installation]
        if seat.task is not None:
            seat.task.cancel()
            await asyncio.wait([seat.task])
        _log.info("slack.workspace_ended", workspace=seat.name)

    # Serving

    async def _keep_open(self, door: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        await self.ready.wait()
        async with door():
            self._taking.set()
            await asyncio.Event().wait()

    async def _serve(self, seat: Seat, inbox: Inbox) -> None:
        try:
            seat.token = seat.token or await self._installations.token(seat.installation)
            workspace = self._make(seat.token)
            async with workspace.connected() as bot:
                seat.team = bot.team_id
                if seat.installation == OWN:
                    self._own_team = bot.team_id
                if seat.installation == OWN and bot.team_id in self._stored:
                    # It ends at the next look: the one that is on record is served.
                    return
                workspace.listen(inbox, self._left)
                with self._serving(seat, workspace):
                    await self._taking.wait()
                    await workspace.catch_up(inbox)
                    seat.settle()
                    await asyncio.Event().wait()
        except (BrokerDown, BrokerRefused, DatabaseDown, Busy, Unreachable) as error:
            if str(error) != seat.said:
                _log.warning("slack.workspace_waits", workspace=seat.name, detail=str(error))
            seat.said = str(error)
            seat.wait(self._now(), self._look_seconds)
        except PlatformError as error:
            seat.refuse()
            self._refused(seat, error)
        except Exception:
            # The edge of a job: one workspace must not end the others.
            if not self._installations.may_grow:
                raise
            seat.wait(self._now(), self._look_seconds)
            _log.exception("slack.workspace_failed", workspace=seat.name)
        self._tell()

    @contextmanager
    def _serving(self, seat: Seat, workspace: SlackWorkspace) -> Iterator[None]:
        self._served[seat.team] = workspace
        seat.state = "serving"
        self.ready.set()
        self._tell()
        _log.info("slack.workspace_served", workspace=seat.team)
        try:
            yield
        finally:
            if self._served.get(seat.team) is workspace:
                del self._served[seat.team]

    def _refused(self, seat: Seat, error: PlatformError) -> None:
        if not self._installations.may_grow:
            self._over = error
            self._asked.set()
            return
        means = "it is not served until the app is installed there again"
        if seat.installation == OWN:
            means = "it is not served: put its present token into SLACK_BOT_TOKEN, and restart"
        _log.error("slack.workspace_refused", workspace=seat.name, detail=str(error), means=means)

    async def _left(self, team: str, at: datetime) -> None:
        """The app was taken away there."""
        if await self._installations.remove(team, at):
            means = "its token is forgotten; its sessions stay, and go on when the app is installed again"
            _log.warning("slack.uninstalled", workspace=team, means=means)
            self._stored -= {team}
            self._asked.set()
        elif any(found.team_id == team for found in await self._installations.wanted()):
            _log.info("slack.installed_since", workspace=team)
        elif team == self._own_team and not self._own_left:
            self._own_left = True
            means = "install it again, put the new token into SLACK_BOT_TOKEN, and restart"
            _log.error("slack.uninstalled", workspace=team, means=means)

    def _tell(self) -> None:
        """Whoever waits for a workspace looks again."""
        self._changed.set()
        self._changed = asyncio.Event()
