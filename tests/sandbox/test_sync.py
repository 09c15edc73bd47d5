"""A box is made ready beside the agent: reading goes on, the rest waits, and nothing is left half done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sandbox.box_git import set_up_call
from sandbox.environments.images import KeptImage
from sandbox.environments.local_namespace import LocalEnvironment
from sandbox.environments.protocol import Sandbox
from sandbox.preparation import SETUP_SECONDS
from sandbox.session_boxes import box_name
from sandbox.sync import SharedFiles
from session import events as e
from tests.emulators.model.turns import Held, tool
from tests.provision.places import temporary_home
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.images.test_builder import built, push
from tests.sandbox.test_jobs import FINISH, FIX
from tests.sandbox.test_recovery import spec

SET_UP = "echo began >>~/runs; mkfifo ~/gate 2>/dev/null; cat ~/gate >/dev/null; echo '# Ready' >>README.md"
LOOK = tool("read_file", path="README.md")
RUNS = tool("bash", command="cat ~/runs")
OPEN = "until [ -p ~/gate ]; do :; done; echo go >~/gate"
"""Goes on once somebody listens: the set-up has begun, and ends with this."""
BEGUN = "until [ -s ~/runs ]; do :; done"


@asynccontextmanager
async def box_of(house: Household, session_id: str) -> AsyncIterator[Sandbox]:
    """The session's box, once its turn has one."""
    await house.until(session_id, lambda event: isinstance(event, e.SandboxReady))
    async with await house.environment.open(spec(house, session_id)) as box:
        yield box


async def by_hand(box: Sandbox, name: str, command: str) -> str:
    done = await box.runner.exec(name, command, timeout_seconds=60)
    assert done.exit_code == 0, done.output
    return done.output


async def said(house: Household, session_id: str, kind: str) -> list[str]:
    """What calls of that tool have returned."""
    events = await house.events(session_id)
    return [event.output for event in events if isinstance(event, e.ToolReturned) and event.tool == kind]


def places(events: Sequence[e.Event], *kinds: type[e.Event]) -> list[str]:
    """The events of those kinds in their order, calls with their tool."""
    return [f"{type(x).__name__} {getattr(x, 'tool', '')}".strip() for x in events if isinstance(x, kinds)]


def leftovers() -> list[str]:
    return [name for task in asyncio.all_tasks() if (name := task.get_name()).startswith("sync of")]


async def test_reading_goes_on_while_the_set_up_runs_and_an_edit_waits_for_it() -> None:
    async with household(setup=(SET_UP,), verify=()) as house:
        held = Held(FIX)
        house.model.script(MODEL, LOOK, held, RUNS, FINISH)
        session_id = await house.opened()
        running = asyncio.create_task(house.run(session_id))
        async with box_of(house, session_id) as box:
            # The model has read and thinks about its edit: all of it while the set-up stands still.
            await asyncio.wait_for(held.reached.wait(), 60)
            await by_hand(box, "begun", BEGUN)
            held.release()
            await house.until(session_id, _asks_for_an_edit)
            order = places(await house.events(session_id), e.ToolCalled, e.ToolReturned, e.WorkspaceSynced)
            assert order == ["ToolCalled read_file", "ToolReturned read_file"]
            await by_hand(box, "go", OPEN)
        view = await running
        assert (view.state, view.failure) == ("idle", None)
        events = await house.events(session_id)
        order = places(events, e.ToolCalled, e.WorkspaceSynced)
        assert order[:3] == ["ToolCalled read_file", "WorkspaceSynced", "ToolCalled edit_file"]
        (synced,) = [event for event in events if isinstance(event, e.WorkspaceSynced)]
        assert 0 < synced.waited_seconds <= synced.seconds
        # The set-up has changed a file that the agent had read.
        (note,) = [event.text for event in events if isinstance(event, e.NoteAdded)]
        assert note.startswith("While you were looking around, the workspace was made ready, and one file is")
        assert "You have seen an older state of `README.md`: read them again" in note
        told = [message.text for message in house.model.requests_to(MODEL)[-1].said_by("user")]
        assert any(note in text for text in told)
        assert await said(house, session_id, "bash") == ["began"]
        assert leftovers() == []


def _asks_for_an_edit(event: e.Event) -> bool:
    return isinstance(event, e.ModelReplied) and any(call.tool == "edit_file" for call in event.tool_calls)


async def test_a_box_lost_in_its_set_up_is_opened_again_once_and_the_second_time_fails_the_turn() -> None:
    async with household(setup=(SET_UP,), verify=()) as house:
        house.model.script(MODEL, FIX)
        session_id = await house.opened()
        running = asyncio.create_task(house.run(session_id))
        for lost in range(2):
            await _until_count(house, session_id, e.SandboxReady, lost + 1)
            async with box_of(house, session_id) as box:
                await by_hand(
                    box, f"begun-{lost}", f"until [ $(cat ~/runs | wc -l) = {lost + 1} ]; do :; done"
                )
                await box.kill()
        view = await running
        assert view.failure is not None
        assert view.failure.cause.startswith("The sandbox failed: ")
        assert view.failure.advice == "Retry: the work is restored as last saved."
        events = await house.events(session_id)
        kinds = places(events, e.SandboxReady, e.SandboxLost, e.WorkspaceSynced, e.TurnFailed)
        assert kinds == ["SandboxReady", "SandboxLost", "SandboxReady", "TurnFailed"]
        assert leftovers() == []

        # The next turn runs what is missing, in the same box.
        house.model.script(MODEL, RUNS, FINISH)
        await house.prompt(session_id, "Again")
        running = asyncio.create_task(house.run(session_id))
        await _until_count(house, session_id, e.SandboxReady, 3)
        async with box_of(house, session_id) as box:
            await by_hand(box, "go", OPEN)
        view = await running
        assert (view.state, view.failure) == ("idle", None)
        assert await said(house, session_id, "bash") == ["began\nbegan\nbegan"]


async def _until_count(house: Household, session_id: str, kind: type[e.Event], count: int) -> None:
    seen = 0

    def enough(event: e.Event) -> bool:
        nonlocal seen
        seen += isinstance(event, kind)
        return seen == count

    await house.until(session_id, enough)


async def test_a_stop_ends_the_set_up_and_what_a_dead_worker_began_is_waited_for() -> None:
    async with household(setup=("echo first >>~/runs", SET_UP), verify=()) as house:
        held = Held(FINISH)
        house.model.script(MODEL, held)
        session_id = await house.opened()
        running = asyncio.create_task(house.run(session_id))
        async with box_of(house, session_id) as box:
            await asyncio.wait_for(held.reached.wait(), 60)
            await by_hand(box, "begun", "until grep -q began ~/runs; do :; done")
            await house.commands.stop(session_id, house.grace)
            assert (await running).state == "stopped"
        assert leftovers() == []
        assert not any(box.running for box in await house.environment.list())
        view = await house.log.view(session_id)
        assert view.degraded == ()

        # Another worker took it up, had the second command run again, and was killed under it.
        async with await house.environment.open(spec(house, session_id)) as box:
            call_id = set_up_call(1, SET_UP, 1)
            left = asyncio.create_task(box.runner.exec(call_id, SET_UP, timeout_seconds=SETUP_SECONDS))
            await by_hand(box, "begun again", "until [ $(wc -l <~/runs) = 3 ]; do :; done")
            house.model.script(MODEL, RUNS, FINISH)
            await house.prompt(session_id, "Go on")
            running = asyncio.create_task(house.run(session_id))
            await _until_count(house, session_id, e.SandboxReady, 2)
            await by_hand(box, "go", OPEN)
            view = await running
            assert (await left).exit_code == 0
        assert (view.state, view.failure) == ("idle", None)
        assert await said(house, session_id, "bash") == ["first\nbegan\nbegan"]
        ready = [event for event in await house.events(session_id) if isinstance(event, e.SandboxReady)]
        assert [event.replaced for event in ready] == [False, False]


class Counting(LocalEnvironment):
    """Boxes as ever; `listings` counts how often all images were looked through."""

    listings = 0

    async def images(self) -> Sequence[KeptImage]:
        self.listings += 1
        return await super().images()


async def test_a_follow_up_asks_nothing_about_images_and_a_box_keeps_its_variables() -> None:
    home = temporary_home()
    environment = Counting(directory=home / "boxes")
    files: dict[str, str | bytes | None] = {".devcontainer.json": '{"containerEnv": {"FLAVOUR": "plain"}}'}
    async with household(environment=environment, verify=(), files=files) as house:
        await built(house)
        shown = tool("bash", command="echo $FLAVOUR")
        house.model.script(MODEL, shown, FINISH)
        session_id = await house.opened()
        before = environment.listings
        await house.run(session_id)
        assert environment.listings == before + 1
        for ending in (False, True):
            if ending:
                await house.environment.end(box_name(session_id))
            house.model.script(MODEL, shown, FINISH)
            await house.prompt(session_id, "Again")
            await house.run(session_id)
        assert environment.listings == before + 1
        assert await said(house, session_id, "bash") == ["plain"] * 3


async def test_an_image_s_older_files_can_be_read_at_once_and_are_then_brought_up_to_the_base() -> None:
    async with household(verify=()) as house:
        image = await built(house)
        head = push(house, "Say more", {"README.md": "# More\n"})
        session_id = await house.opened()
        turn = await house.begun(session_id)
        workspace = await house.workspace(turn)
        try:
            await workspace.open()
            async with workspace.reading():
                read = await workspace.runner.read_file("README.md")
                assert read.text == "# Billing\n"
                looked = e.ToolReturned(
                    turn_id="t1", call_id="c1", tool="glob", status="ok", output="README.md"
                )
                await turn.append(looked)
            await workspace.admit(at_once=False)
            assert (await workspace.runner.read_file("README.md")).text == "# More\n"
            done = await workspace.runner.exec("head", "git rev-parse HEAD", timeout_seconds=60)
            assert done.output.strip() == head
        finally:
            await workspace.close()
        events = await house.events(session_id)
        (ready,) = [event for event in events if isinstance(event, e.SandboxReady)]
        assert ready.image == image.reference
        (note,) = [event.text for event in events if isinstance(event, e.NoteAdded)]
        assert "an older state of `README.md`" in note


async def test_files_are_exchanged_when_nobody_reads_and_read_when_nobody_exchanges() -> None:
    files, told = SharedFiles(), list[str]()
    first, second = asyncio.Event(), asyncio.Event()

    async def read(name: str, until: asyncio.Event) -> None:
        async with files.reading():
            told.append(f"{name} reads")
            await until.wait()
            told.append(f"{name} has read")

    async def exchange(name: str) -> None:
        async with files.exchanging():
            told.append(f"{name} exchanges")
            await asyncio.sleep(0)
            told.append(f"{name} is done")

    readers = [asyncio.create_task(read(name, first)) for name in ("ada", "grace")]
    await asyncio.sleep(0)
    exchangers = [asyncio.create_task(exchange(name)) for name in ("sync", "recovery")]
    await asyncio.sleep(0)
    readers.append(asyncio.create_task(read("late", second)))
    await asyncio.sleep(0)
    assert told == ["ada reads", "grace reads"]
    first.set()
    second.set()
    await asyncio.wait_for(asyncio.gather(*readers, *exchangers), 60)
    assert told.index("sync exchanges") > max(told.index("ada has read"), told.index("grace has read"))
    assert told.index("sync is done") == told.index("sync exchanges") + 1
    assert told.index("recovery is done") == told.index("recovery exchanges") + 1
    assert told.index("late reads") > told.index("sync is done")
