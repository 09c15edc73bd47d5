"""Who takes what comes from Discord, and the room they work in, which changes with the gateway's sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bot.messages import Choice
from bot.platforms.discord.carrying_out import DiscordCommands
from bot.platforms.discord.doors import DiscordDoors
from bot.platforms.discord.presses import DiscordPresses
from bot.platforms.discord.room import Room
from bot.platforms.protocol import Inbox


class Desk:
    """Everyone who brings things to one inbox. What comes before the guild is known waits for it."""

    def __init__(self, inbox: Inbox, repositories: Sequence[Choice]) -> None:
        self.doors = DiscordDoors(inbox)
        self.presses = DiscordPresses(inbox, repositories)
        self.commands = DiscordCommands(inbox, repositories)
        self._room: Room | None = None
        self._known = asyncio.Event()
        self._at_work: set[asyncio.Task[object]] = set()

    def open(self, room: Room) -> None:
        """From now on this is the room."""
        self._room = room
        self._known.set()

    async def opened(self) -> Room:
        """The room, once there is one. The task that asks is at work from now on."""
        self.takes_part()
        await self._known.wait()
        assert self._room is not None
        return self._room

    def takes_part(self) -> None:
        """The running task is at work here: it ends with `close` at the latest. The library ends none."""
        task = asyncio.current_task()
        if task is not None:
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)

    async def close(self) -> None:
        """Nothing is dealt with any more on return; messages that were not are found at the next start."""
        left = list(self._at_work)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
