"""The engine dies, forgets everything, or has no room: the work goes on, and what became of it is said."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sandbox.session_boxes import box_name
from session import events as e
from tests.emulators.model.turns import together, tool
from tests.faults.engine_stage import WAIT, Stage, filled, stage
from tests.faults.waiting import until
from tests.faults.work import FINISH
from tests.provision import small_image
from tests.provision.postgres import PostgresServer
from tests.provision.valkey import ValkeyServer

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.needs("docker"),
    pytest.mark.needs("root"),
]

CHANGE = "sed -i 's/ + 1//' total.py; echo new >notes.md"
WHOLE = "everything is as it was after the last turn"
SLOW_GIT = (
    f"echo 'touch /run/bellhop/saving; {WAIT.format('save')}; cat' >.git/slow; echo more >>notes.md; "
    "git config filter.slow.clean 'sh .git/slow'; echo 'notes.md filter=slow' >.git/info/attributes"
)
NO_ROOM = "No space left on device"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage_of_all(
    postgres_server: PostgresServer,
    postgres_template: str,
    own_redis: ValkeyServer,
    docker_host: str,
    base_image: str,
) -> AsyncIterator[Stage]:
    """The engine, and the house that works with it, of all tests here."""
    url = postgres_server.create_database(like=postgres_template)
    small = await asyncio.to_thread(small_image.ensure, docker_host, base_image)
    async with stage(small, url, own_redis) as made:
        yield made
    postgres_server.drop_database(url)


@pytest_asyncio.fixture(loop_scope="module")
async def staged(stage_of_all: Stage) -> Stage:
    """The same, in order again whatever happened to it."""
    await stage_of_all.make_whole()
    return stage_of_all


async def test_an_engine_that_starts_again_under_a_command(staged: Stage) -> None:
    engine = staged.engine
    waits = f"echo one >>ran; {WAIT.format('go')}; echo through"
    session_id = await staged.opened(
        "Outlive the engine",
        tool("bash", command=waits),
        tool("bash", command="echo two >>ran; echo kept >~/tool; touch /run/bellhop/kept; sleep 300"),
        tool("bash", command="cat ran ~/tool"),
        FINISH,
    )
    # Boxes outlive an engine that lets them, and nobody notices.
    await staged.called(session_id, 1)
    await staged.restart(live_restore=True)
    staged.go(session_id, "go")
    await staged.called(session_id, 2)
    assert [(done.status, done.output) for done in await staged.returned(session_id)] == [("ok", "through")]
    await until(lambda: staged.written(session_id, "kept"), "the command waits")
    # They end with any other, and the turn waits for it; nobody gets through to it before it is away.
    await staged.way.stop()
    await staged.restart(live_restore=False)
    await asyncio.to_thread(engine.stop)
    await staged.way.start()
    paused = await staged.house.event(session_id, e.TurnPaused)
    assert "Docker engine" in paused.cause
    await staged.house.hears(session_id, lambda m: m.kind == "card" and "goes on by itself" in m.text)
    await asyncio.to_thread(engine.start)
    await staged.house.finished(session_id)
    _, lost, seen = await staged.returned(session_id)
    assert (lost.status, seen.output) == ("unknown", "one\ntwo\nkept")


async def test_what_befalls_a_box_and_all_that_its_engine_has(staged: Stage) -> None:
    house, engine = staged.house, staged.engine
    session_id = await staged.opened(
        "Lose everything",
        tool("bash", command=f"{CHANGE}; exec python3 -c \"print(len(b'x' * (3 << 30)))\""),
        tool("bash", command="cat notes.md; echo installed >~/tool"),
        FINISH,
        tool("bash", command="echo unsaved >>notes.md; sleep 300"),
        tool("bash", command=f"cat notes.md ~/tool; {WAIT.format('seen')}"),
        FINISH,
        tool("bash", command="cat total.py notes.md; ls ~/tool"),
        FINISH,
    )
    await staged.finished(session_id)
    full, after = await staged.returned(session_id)
    assert (full.status, full.output.splitlines()[0]) == ("error", "[out of memory]")
    assert (after.status, after.output) == ("ok", "new")

    await until(lambda: recorded(staged, session_id), "a snapshot is taken")
    await staged.prompt(session_id)
    await staged.called(session_id, 4)
    await asyncio.to_thread(staged.remove_container, session_id)
    lost = await house.event(session_id, e.SandboxLost)
    assert lost.cause == "removed"
    await house.hears(session_id, lambda m: m.kind == "card" and f"rebuilt; {WHOLE}" in m.text)
    staged.go(session_id, "seen")
    await staged.finished(session_id, turns=2)
    unknown, after = (await staged.returned(session_id))[2:]
    assert (unknown.status, after.output) == ("unknown", "new\ninstalled")

    await asyncio.to_thread(engine.stop)
    await asyncio.to_thread(shutil.rmtree, engine.data)
    await asyncio.to_thread(engine.start)
    assert staged.snapshots() == set()
    await staged.prompt(session_id)
    view = await staged.finished(session_id, turns=3)
    seen = (await staged.returned(session_id))[-1]
    assert seen.output.splitlines()[1:3] == ["    return sum(lines)", "new"]
    assert "No such file" in seen.output
    assert view.sandbox is not None
    assert view.sandbox.restored == "all files of the workspace are as they were last saved"


async def test_without_room_it_is_said_and_goes_on_when_there_is_some(staged: Stage) -> None:
    house = staged.house
    filling = "python3 -c \"for i in range(10**6): open(f'many/{i}', 'w').close()\""
    waits = f"{WAIT}; echo {{0}} >>notes.md; cat notes.md"
    session_id = await staged.opened(
        "Fill the disk",
        tool("bash", command=f"{CHANGE}; head -c 2G /dev/zero >big"),
        # More than fits into what is left of the journal's last block.
        together(*(tool("bash", command=f"echo {number}") for number in range(16))),
        tool("bash", command="rm big; echo room >>notes.md"),
        tool("bash", command=f"mkdir many; {filling}; seq 20000; exit 3"),
        tool("bash", command="rm -r many; cat notes.md"),
        FINISH,
        tool("bash", command=waits.format("home")),
        FINISH,
        tool("bash", command=waits.format("engine")),
        FINISH,
        tool("bash", command="cat notes.md"),
        FINISH,
    )
    # A box may use up what its engine has for all of them: it hears so, and can make room.
    await staged.finished(session_id)
    full, *others, no_files, cleared = await staged.returned(session_id)
    assert [done.output for done in others[:-1]] == [str(number) for number in range(16)]
    assert [done.status for done in (full, others[-1], no_files)] == ["error", "ok", "error"]
    assert all(NO_ROOM in done.output for done in (full, no_files))
    assert "they could not be kept: the disk is full" in no_files.output
    assert no_files.output.endswith("\n20000\n[exit code 3]")
    assert cleared.output == "new\nroom"

    # The disk that work is saved to.
    await staged.prompt(session_id)
    await staged.called(session_id, 22)
    filler = await asyncio.to_thread(filled, house.home)
    staged.go(session_id, "home")
    view = await staged.finished(session_id, turns=2)
    assert [item.part for item in view.degraded] == ["sandbox"]
    assert NO_ROOM in view.degraded[0].detail
    await house.hears(session_id, lambda m: m.kind == "notice" and NO_ROOM in m.text)
    unsaved = await staged.opened("Begin where nothing can be saved", FINISH)
    paused = await house.event(unsaved, e.TurnPaused)
    assert "no room" in paused.cause
    filler.unlink()
    await house.finished(unsaved)

    # The disk that boxes stand on: one that works, and one that cannot be made.
    await staged.prompt(session_id)
    await staged.called(session_id, 24)
    filler = await asyncio.to_thread(filled, staged.disk)
    staged.go(session_id, "engine")
    view = await staged.finished(session_id, turns=3)
    assert [item.part for item in view.degraded] == ["sandbox"]
    other = await staged.opened("Begin without room", FINISH)
    paused = await house.event(other, e.TurnPaused)
    assert "no room" in paused.cause
    filler.unlink()
    await house.finished(other)
    await staged.prompt(session_id)
    view = await staged.finished(session_id, turns=4)
    assert view.degraded == ()
    assert (await staged.returned(session_id))[-1].output.splitlines()[:3] == ["new", "room", "home"]


async def test_a_worker_killed_at_any_point_of_a_box_is_replaced_and_leaves_nothing_behind(
    staged: Stage,
) -> None:
    house, made = staged.house, tool("bash", command="echo new >notes.md; cat ~/set-up")
    # Between the making of a container and the answer of what runs in it.
    held = staged.way.keep_back(b"POST", b"/containers/create?name=")
    starting = await staged.opened("Be killed at the start", made, FINISH)
    await held.reached.wait()
    # In the set-up.
    setting_up = await staged.opened("Be killed in the set-up", made, FINISH, set_up=False)
    await until(lambda: staged.written(setting_up, "setting-up"), "the set-up runs")
    # In the snapshot after a turn: the image is made, and nobody knows.
    copying = await staged.opened("Be killed in the snapshot", made, FINISH, made, FINISH, set_up=False)
    held = staged.way.keep_back(b"POST", b"/commit", box_name(copying).encode())
    staged.go(copying, "set-up")
    await staged.finished(copying)
    await held.reached.wait()
    # In the checkpoint at a turn's end, which git makes.
    slow = tool("bash", command=SLOW_GIT)
    saving = await staged.opened("Be killed in the checkpoint", made, slow, FINISH)
    await until(lambda: staged.written(saving, "saving"), "the checkpoint is being made")

    await house.programs[0].kill()
    sessions = (starting, setting_up, copying, saving)
    for session_id in sessions:
        staged.go(session_id, "set-up")
        staged.go(session_id, "save")
    [orphan] = taken(staged, copying)
    await house.start()
    for session_id in (starting, setting_up, saving):
        await staged.finished(session_id)
    await staged.prompt(copying)
    await staged.finished(copying, turns=2)

    for session_id in sessions:
        assert len(staged.containers(session_id)) == 1
        assert (await staged.returned(session_id))[0].output == "once"
        events = await house.events(session_id)
        assert sum(isinstance(event, e.TurnFinished) for event in events) == 1 + (session_id == copying)
        await until(lambda: recorded(staged, session_id), "its only snapshot is on record")  # noqa: B023
    assert taken(staged, copying) != [orphan]


def taken(staged: Stage, session_id: str) -> list[str]:
    """The session's snapshots in the engine."""
    return [reference for reference in staged.snapshots() if box_name(session_id) in reference]


async def recorded(staged: Stage, session_id: str) -> bool:
    """Whether the session has one snapshot in the engine, and that one on record."""
    database = staged.house.core.database
    rows = await database.rows("SELECT reference FROM snapshots WHERE session_id = ?", session_id)
    return len(rows) == 1 and taken(staged, session_id) == [rows[0]["reference"]]
