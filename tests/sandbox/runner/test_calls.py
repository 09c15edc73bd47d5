"""Commands: their output, their end, their journal."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

import pytest

from sandbox.environments.runner_client import RunnerClient, RunnerError, RunnerGone, ToolRefused
from tests.sandbox.runner.conftest import Place


async def test_the_end_of_the_shell_is_the_end_of_the_call(runner: RunnerClient) -> None:
    done = await runner.exec("c1", "sleep 100 & echo started; exit 7", timeout_seconds=60)
    # What is left running sleeps for longer than the command may take.
    assert (done.exit_code, done.output, done.timed_out) == (7, "started\n", False)
    assert 0 < done.duration_seconds < 60


async def test_output_after_the_end_does_not_kill_what_writes_it(
    runner: RunnerClient, workspace: Path
) -> None:
    await runner.exec(
        "c1",
        "(until [ -e go ]; do sleep 0.02; done; echo late; echo late; touch survived) &",
        timeout_seconds=60,
    )
    (workspace / "go").touch()
    done = await runner.exec("c2", "until [ -e survived ]; do sleep 0.02; done", timeout_seconds=60)
    assert done.exit_code == 0


async def test_a_signal_is_named_and_counted_as_shells_do(runner: RunnerClient) -> None:
    done = await runner.exec("c1", "kill -9 $$", timeout_seconds=60)
    assert (done.exit_code, done.cause) == (137, "killed by signal 9")


async def test_directory_and_environment_are_as_asked_for(runner: RunnerClient, workspace: Path) -> None:
    (workspace / "sub").mkdir()
    done = await runner.exec(
        "c1", 'pwd; echo "$NAME"; cat', timeout_seconds=60, workdir="sub", env={"NAME": "a b"}
    )
    assert done.output == f"{workspace}/sub\na b\n"
    with pytest.raises(ToolRefused, match="outside the workspace"):
        await runner.exec("c2", "true", timeout_seconds=60, workdir="..")
    with pytest.raises(ToolRefused, match="not a directory"):
        await runner.exec("c3", "true", timeout_seconds=60, workdir="nowhere")


async def test_long_output_is_head_and_tail_with_all_of_it_in_a_file(runner: RunnerClient) -> None:
    done = await runner.exec("c1", "seq 1 100000", timeout_seconds=60)
    whole = "".join(f"{number}\n" for number in range(1, 100_001))
    assert done.total_bytes == len(whole)
    assert len(done.output) < 60_000
    assert done.output.startswith("1\n2\n")
    assert done.output.endswith("99999\n100000\n")
    assert done.spilled_path is not None
    assert f"all {len(whole)} bytes are in {done.spilled_path}" in done.output
    assert (await runner.read_bytes(done.spilled_path)).data.decode() == whole
    lines = await runner.read_file(done.spilled_path, offset=50_000, limit=1)
    assert (lines.text, lines.total_lines) == ("50000\n", 100_000)


@pytest.mark.parametrize(("count", "spilled"), [(2000, False), (2001, True)])
async def test_two_thousand_lines_stay_inline(runner: RunnerClient, count: int, spilled: bool) -> None:
    done = await runner.exec("c1", f"seq 1 {count}", timeout_seconds=60)
    assert (done.spilled_path is not None) == spilled


async def test_output_comes_while_the_command_runs_and_characters_stay_whole(
    runner: RunnerClient, workspace: Path
) -> None:
    seen: list[str] = []
    first = asyncio.Event()

    def show(text: str) -> None:
        seen.append(text)
        first.set()

    command = "printf '\\303'; until [ -e go ]; do sleep 0.02; done; printf '\\251 end'"
    task = asyncio.create_task(
        runner.exec("c1", f"printf start; {command}", timeout_seconds=60, on_output=show)
    )
    async with asyncio.timeout(60):
        await first.wait()
    assert not task.done()
    (workspace / "go").touch()
    assert (await task).output == "starté end"
    assert "".join(seen) == "starté end"


async def test_an_error_of_the_listener_reaches_its_call_and_no_other(runner: RunnerClient) -> None:
    def fail(text: str) -> None:
        raise LookupError(text)

    with pytest.raises(LookupError):
        await runner.exec("c1", "echo up; sleep 1", timeout_seconds=60, on_output=fail)
    assert (await runner.exec("c2", "echo two", timeout_seconds=60)).output == "two\n"


async def test_many_calls_run_at_once_on_one_connection(runner: RunnerClient) -> None:
    command = "touch here-{n}; until [ $(ls | grep -c here) = 8 ]; do sleep 0.02; done; echo {n}"
    done = await asyncio.gather(
        *(runner.exec(f"c{n}", command.format(n=n), timeout_seconds=60) for n in range(8))
    )
    assert [result.output for result in done] == [f"{n}\n" for n in range(8)]


async def test_cancelling_by_call_id(runner: RunnerClient) -> None:
    started = asyncio.Event()
    task = asyncio.create_task(
        runner.exec("c1", "echo up; sleep 100", timeout_seconds=60, on_output=lambda _: started.set())
    )
    async with asyncio.timeout(60):
        await started.wait()
    assert await runner.cancel("c1")
    done = await task
    assert (done.exit_code, done.cancelled, done.cause) == (None, True, "cancelled")
    assert done.output == "up\n"
    assert not await runner.cancel("c1")
    assert (await runner.exec("c1", "echo up; sleep 100", timeout_seconds=60)).cancelled


async def test_the_same_id_again_is_answered_and_not_run(runner: RunnerClient, workspace: Path) -> None:
    first = await runner.exec("c1", "echo once >> log; wc -l < log", timeout_seconds=60)
    again = await runner.exec("c1", "echo once >> log; wc -l < log", timeout_seconds=60)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.output == first.output
    assert (workspace / "log").read_text() == "once\n"
    with pytest.raises(ToolRefused, match="used before, for another call"):
        await runner.exec("c1", "echo other", timeout_seconds=60)
    await runner.write_file("w1", "log", "new")
    (workspace / "log").write_text("newer")
    assert (await runner.write_file("w1", "log", "new")).replayed
    assert (workspace / "log").read_text() == "newer"


async def test_a_refused_call_leaves_its_id_free(runner: RunnerClient, workspace: Path) -> None:
    with pytest.raises(ToolRefused):
        await runner.exec("c1", "true", timeout_seconds=60, workdir="later")
    (workspace / "later").mkdir()
    assert (await runner.exec("c1", "true", timeout_seconds=60, workdir="later")).exit_code == 0


# Lives as long as its runner.
CUT = "echo up; cat /dev/zero | head -c 1; while kill -0 $PPID; do sleep 0.05; done"


async def test_the_journal_outlives_the_runner(place: Place) -> None:
    async with place.runner() as (client, _):
        await client.exec("done", "echo one", timeout_seconds=60)
    async with place.runner() as (client, process):
        again = await client.exec("done", "echo one", timeout_seconds=60)
        assert (again.output, again.replayed) == ("one\n", True)
        started = asyncio.Event()
        task = asyncio.create_task(
            client.exec(
                "cut",
                CUT,
                timeout_seconds=60,
                on_output=lambda _: started.set(),
            )
        )
        async with asyncio.timeout(60):
            await started.wait()
        process.kill()
        with pytest.raises(RunnerGone):
            await task
    async with place.runner() as (client, _):
        lost = await client.exec("cut", CUT, timeout_seconds=60)
        assert (lost.exit_code, lost.replayed) == (None, True)
        assert lost.cause is not None
        assert lost.cause.startswith("interrupted")


async def test_a_client_does_not_repeat_its_call_in_another_box(place: Place, tmp_path: Path) -> None:
    async with place.runner() as (client, process):
        process.kill()
        await process.wait()
        other = Place(tmp_path / "other")
        other.directory.mkdir()
        async with other.runner():
            place.socket.unlink()
            place.socket.hardlink_to(other.socket)
            with pytest.raises(RunnerGone, match="another box"):
                await client.exec("c1", "touch done", timeout_seconds=60)
            assert not (other.workspace / "done").exists()


async def test_a_command_starts_as_from_a_plain_shell(runner: RunnerClient) -> None:
    done = await runner.exec(
        "c1", "yes | head -n 1; echo ${PIPESTATUS[0]}; ls /proc/self/fd | wc -l; umask", timeout_seconds=60
    )
    assert done.output.split() == ["y", "141", "4", "0022"]
    with pytest.raises(RunnerError, match=r"cannot start .*: .*Argument list too long"):
        await runner.exec("c2", "#" + "x" * 200_000, timeout_seconds=60)
    with pytest.raises(RunnerError, match=r"cannot start .*: .*Argument list too long"):
        await runner.background_start("c3", "#" + "x" * 200_000)
    assert (await runner.exec("c2", "echo free", timeout_seconds=60)).output == "free\n"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_starter_that_is_killed_is_replaced_and_what_it_started_goes_on(
    place: Place, how: signal.Signals
) -> None:
    async with place.runner() as (runner, process):
        # The spare that it makes may not be there yet.
        starter = children(process.pid)[0]
        told: asyncio.Queue[str] = asyncio.Queue()
        command = "echo up; until [ -e go ]; do sleep 0.02; done; exit 3"
        under_way = asyncio.create_task(
            runner.exec("c1", command, timeout_seconds=60, on_output=told.put_nowait)
        )
        async with asyncio.timeout(60):
            await told.get()
        await gone(starter, how)
        again = await runner.exec("c2", "touch go; echo again", timeout_seconds=60)
        assert (again.exit_code, again.output) == (0, "again\n")
        assert (await under_way).exit_code == 3
        assert starter not in children(process.pid)


def children(pid: int) -> list[int]:
    """The process's own, the oldest first."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def gone(pid: int, how: signal.Signals) -> None:
    """The process has ended, of that signal."""
    watched, ended = os.pidfd_open(pid), asyncio.Event()
    os.kill(pid, how)
    asyncio.get_running_loop().add_reader(watched, ended.set)
    async with asyncio.timeout(60):
        await ended.wait()
    asyncio.get_running_loop().remove_reader(watched)
    os.close(watched)


async def test_background_jobs_run_beside_the_calls(runner: RunnerClient) -> None:
    job = await runner.background_start(
        "b1", "trap 'echo bye; exit 0' TERM; echo line; while :; do sleep 0.05; done"
    )
    assert job.running
    assert (await runner.background_start("b1", job.command)).job_id == job.job_id
    text = ""
    offset = 0
    async with asyncio.timeout(60):
        while "line" not in text:
            part = await runner.background_output(job.job_id, offset)
            text, offset = text + part.text, part.next_offset
    ended = await runner.background_stop(job.job_id)
    assert (ended.running, ended.exit_code, ended.cause) == (False, None, "stopped")
    assert (await runner.background_output(job.job_id, offset)).text.endswith("bye\n")
    with pytest.raises(ToolRefused, match="no background job"):
        await runner.background_status("job-none")


async def test_a_background_job_over_a_limit_is_ended_with_its_cause(place: Place) -> None:
    hog = "exec python3 -c 'import time; x = b\"x\" * (1 << 27); time.sleep(100)'"
    async with place.runner("--memory-bytes", str(100 << 20)) as (runner, _):
        job = await runner.background_start("b1", hog)
        async with asyncio.timeout(60):
            while job.running:
                job = await runner.background_status(job.job_id)
        assert (job.exit_code, job.cause) == (None, "out of memory")


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.12", "3.13"])
async def test_the_runner_works_on_other_pythons(tmp_path: Path, version: str) -> None:
    python = python_of(version)
    if python is None:
        pytest.skip(f"needs Python {version}")
    async with Place(tmp_path, python=python).runner() as (client, _):
        assert (await client.ping()).python.startswith(version)
        assert (await client.exec("c1", "echo hello", timeout_seconds=60)).output == "hello\n"
        await client.write_file("c2", "a.txt", "one\n")
        assert (await client.edit_file("c3", "a.txt", "one", "two")).replacements == 1
        assert (await client.grep("tw.")).lines == ("a.txt:1:two",)
        assert (await client.glob("*.txt")).paths == ("a.txt",)
        assert (await client.stats()).processes >= 1


def python_of(version: str) -> str | None:
    """An interpreter of that version, on the path or among pyenv's."""
    kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python3"))
    return str(kept[-1]) if kept else shutil.which(f"python{version}")


async def test_a_command_that_computes_until_its_time_is_over_is_seen_and_one_that_sleeps_is_not(
    runner: RunnerClient,
) -> None:
    done = await runner.exec("c1", "while :; do :; done", timeout_seconds=2)
    assert done.timed_out
    assert done.strained == ("processor",)
    idle = await runner.exec("c2", "exec sleep 60", timeout_seconds=1)
    assert idle.timed_out
    assert idle.strained == ()
