"""The stream: everything once, in order, however often the line is cut."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from companion_web.fragments import Fragments
from companion_web.rooms import READ_BATCH, RING_FRAMES, Dropped, Rooms
from companion_web.sign_in import one_time_link
from session import events as e
from session.database import Database
from session.log import Log
from session.pulse import Pulse
from tests.companion_web import story
from tests.companion_web.stage import CATALOGUE, Browserlike, Stage


@dataclass
class Message:
    """One message of a stream as a browser takes it."""

    event: str
    data: str
    id: str


async def read(response: httpx.Response) -> AsyncIterator[Message]:
    """The messages of an event stream. Source: the HTML standard, "Interpreting an event stream"."""
    event, last_id, data = "message", "", list[str]()
    async for line in response.aiter_lines():
        if not line:
            if data:
                yield Message(event, "\n".join(data), last_id)
            event, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            event = value
        elif field == "id":
            last_id = value


@asynccontextmanager
async def signed_in(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stage.url, timeout=60) as http:
        ada = await stage.person("Ada")
        await Browserlike(http, stage.url).sign_in(await one_time_link(stage.directory, stage.url, ada))
        yield http


@asynccontextmanager
async def streaming(
    http: httpx.AsyncClient, session_id: str, after: int | None = None, last_id: str | None = None
) -> AsyncIterator[AsyncIterator[Message]]:
    params = {} if after is None else {"after": str(after)}
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    path = f"/s/{session_id}/events"
    async with asyncio.timeout(60), http.stream("GET", path, params=params, headers=headers) as response:
        assert response.status_code == 200
        yield read(response)


async def take_changes(messages: AsyncIterator[Message], until: int) -> list[Message]:
    taken = []
    async for message in messages:
        if message.event == "change":
            taken.append(message)
            if int(message.id) >= until:
                break
    return taken


async def test_a_joiner_gets_what_follows_its_page(stage: Stage) -> None:
    await stage.session("s", [*story.opening(), *story.start()])
    async with stage.serve(), signed_in(stage) as http, streaming(http, "s", after=3) as messages:
        last = await stage.append("s", *story.work())
        taken = await take_changes(messages, last)
    assert [int(message.id) for message in taken] == list(range(4, last + 1))
    assert 'id="plan"' in taken[-1].data
    assert "running the tests in billing" in "".join(message.data for message in taken)


async def test_a_cut_line_resumes_with_nothing_missing_and_nothing_twice(stage: Stage) -> None:
    """Cut at many places while the log grows: every sequence arrives exactly once."""
    await stage.session("s", story.opening())
    chance = random.Random(7)
    seen: list[int] = []
    total = 242

    async def grow() -> None:
        await stage.append("s", *story.start())
        while (await stage.log.view("s")).seq < total:
            await stage.append("s", *story.call(f"c{chance.random()}", "shell", "working"))

    async with stage.serve(), signed_in(stage) as http:
        growing = asyncio.create_task(grow())
        while not seen or seen[-1] < total:
            position = str(seen[-1]) if seen else "0"
            async with streaming(http, "s", last_id=position) as messages:
                wanted = (seen[-1] if seen else 0) + chance.randint(1, 9)
                seen += [int(m.id) for m in await take_changes(messages, min(wanted, total))]
        await growing
    assert seen == list(range(1, seen[-1] + 1))
    assert seen[-1] >= total


async def test_many_watchers_share_one_rendering(stage: Stage) -> None:
    await stage.session("s", [*story.opening(), *story.start()])
    async with stage.serve(), signed_in(stage) as http, asyncio.TaskGroup() as group:
        ready = [asyncio.Event() for _ in range(20)]
        readers = [group.create_task(_watch(http, ready[n])) for n in range(20)]
        for event in ready:
            await event.wait()
        await stage.append("s", *story.work())
    results = [reader.result() for reader in readers]
    assert all(result == results[0] for result in results)


async def _watch(http: httpx.AsyncClient, ready: asyncio.Event) -> list[str]:
    async with streaming(http, "s", after=5) as messages:
        ready.set()
        return [message.data for message in await take_changes(messages, 5 + len(list(story.work())))]


async def test_tokens_are_gathered_and_shown_whole_to_late_joiners(stage: Stage) -> None:
    await stage.session("s", [*story.opening(), *story.start()])
    async with stage.serve(), signed_in(stage) as http, streaming(http, "s", after=5) as messages:
        assert (await anext(messages)).event == "live"
        began = time.monotonic()
        for number in range(200):
            await stage.pulse.publish_tokens("s", "t1", f"{number} ")
            await asyncio.sleep(0)
        whole = "".join(f"{number} " for number in range(200))
        text, count = "", 0
        async for message in messages:
            delta = json.loads(message.data)
            assert message.event == "tokens"
            assert delta["offset"] == len(text)
            text, count = text + delta["text"], count + 1
            if text == whole:
                break
        assert count <= (time.monotonic() - began) * 20 + 1
        async with streaming(http, "s", after=5) as late:
            live = await anext(late)
        assert (live.event, json.loads(live.data)["text"]) == ("live", whole)
        await stage.append("s", e.ModelReplied(turn_id="t1", text=whole, model="m"))
        assert (await anext(messages)).event == "change"
        ended = await anext(messages)
    assert (ended.event, json.loads(ended.data)["text"]) == ("live", "")


async def test_hostile_lines_cannot_break_out_of_a_message(stage: Stage) -> None:
    await stage.session("s", [*story.opening(), *story.start()])
    hostile = "a\r\n\r\nevent: change\r\ndata: <b>x</b>\r\rid: 99\n\n"
    async with stage.serve(), signed_in(stage) as http, streaming(http, "s", after=5) as messages:
        await anext(messages)
        await stage.pulse.publish_tokens("s", "t1", hostile)
        tokens = await anext(messages)
        await stage.append("s", e.UpdatePosted(text=hostile))
        change = await anext(messages)
    assert json.loads(tokens.data)["text"] == hostile
    assert change.id == "6"
    assert "<b>x</b>" not in change.data


@pytest.mark.parametrize("position", ["x", "-1", "1.5", "9" * 20])
async def test_odd_positions_are_refused(stage: Stage, position: str) -> None:
    await stage.session("s", story.opening())
    async with stage.client(await stage.person("Ada")) as client:
        assert (await client.get(f"/s/s/events?after={position}")).status_code == 400


async def test_a_position_ahead_of_this_process_gets_only_what_is_beyond_it(stage: Stage) -> None:
    """The page may come from another web process that has read further."""
    await stage.session("s", [*story.opening(), *story.start()])
    async with stage.serve(), signed_in(stage) as http, streaming(http, "s", after=7) as messages:
        assert (await anext(messages)).event == "live"
        last = await stage.append("s", *story.work())
        taken = await take_changes(messages, last)
    assert [int(message.id) for message in taken] == list(range(8, last + 1))


async def test_a_client_that_lags_behind_the_ring_is_dropped(stage: Stage) -> None:
    await stage.session("s", [*story.opening(), *story.start()])
    rooms = Rooms(stage.log, stage.pulse, Fragments(CATALOGUE))
    room = await rooms.enter("s")
    with room.seat(5) as slow, room.seat(5) as quick:
        room.catch_up(slow)
        room.catch_up(quick)
        while room.timeline.seq < RING_FRAMES + 10:
            await stage.append("s", *[story.plan(room.timeline.seq % 5)] * 40)
            await room.next_frames(quick)
        with pytest.raises(Dropped):
            await room.next_frames(slow)


async def test_a_room_follows_only_while_it_is_watched(stage: Stage) -> None:
    await stage.session("s", [*story.opening(), *story.start()])
    rooms = Rooms(stage.log, stage.pulse, Fragments(CATALOGUE))
    room = await rooms.enter("s")
    tasks = asyncio.all_tasks()
    with room.seat(5):
        assert len(asyncio.all_tasks() - tasks) == 2
        assert room.watched
    await asyncio.wait(asyncio.all_tasks() - tasks, timeout=60)
    assert asyncio.all_tasks() <= tasks
    await stage.append("s", story.plan(1))
    assert (await rooms.enter("s")).view.seq == 6


class HeldLog(Log):
    """A log whose first two readers for a room have read, but get it only when the test says so."""

    def __init__(self, database: Database, pulse: Pulse) -> None:
        super().__init__(database, pulse)
        self.looked: asyncio.Queue[asyncio.Event] = asyncio.Queue()
        self._left = 2

    async def read(self, session_id: str, after: int = 0, limit: int = 100) -> list[e.Recorded]:
        records = await super().read(session_id, after, limit)
        if limit == READ_BATCH and self._left:
            self._left -= 1
            go_on = asyncio.Event()
            self.looked.put_nowait(go_on)
            await go_on.wait()
        return records


async def test_who_comes_in_beside_another_is_not_shown_what_that_one_saw_earlier(stage: Stage) -> None:
    await stage.session("s", [*story.opening(), *story.start()])
    async with await Database.open(stage.settings.database_address) as database:
        log = HeldLog(database, stage.pulse)
        rooms = Rooms(log, stage.pulse, Fragments(CATALOGUE))
        early = asyncio.create_task(rooms.enter("s"))
        early_goes_on = await log.looked.get()
        await stage.append("s", story.plan(1))
        late = asyncio.create_task(rooms.enter("s"))
        late_goes_on = await log.looked.get()
        early_goes_on.set()
        await early
        late_goes_on.set()
        assert (await late).view.seq == 6


async def test_parts_that_changed_and_changed_back_unwatched_arrive_right(stage: Stage) -> None:
    """What a room last sent is no measure for a client that came later."""
    await stage.session("s", [*story.opening(), *story.start(), story.plan(1)])
    rooms = Rooms(stage.log, stage.pulse, Fragments(CATALOGUE))
    room = await rooms.enter("s")
    with room.seat(6) as seat:
        room.catch_up(seat)
        await stage.append("s", story.plan(2))
        await room.next_frames(seat)
    await stage.append("s", story.plan(3))
    room = await rooms.enter("s")
    with room.seat(8) as seat:
        room.catch_up(seat)
        await stage.append("s", story.plan(2))
        frames = await room.next_frames(seat)
    assert b"2 of 5" in b"".join(frame.body for frame in frames)
