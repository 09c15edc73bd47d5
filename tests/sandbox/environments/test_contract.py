"""What every backend's boxes do; the same tests run against each."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.environments.images import ImageTag, WantedBase
from sandbox.environments.protocol import Sandbox, SandboxFailed
from sandbox.environments.runner_client import RunnerGone, ToolRefused
from sandbox.environments.service import BoxProgram, WantedServices
from sandbox.services import open_services
from tests.sandbox.environments.boxes import Bench, call_id, run

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_command_runs_in_the_workspace_with_the_box_s_environment(box: Sandbox) -> None:
    done = await run(box, "pwd; echo $GREETING; id -u; exit 3")
    where, greeting, uid = done.output.split()
    assert (where, greeting) == ("/workspace", "hello")
    assert uid != "0"
    assert (done.exit_code, done.cause, done.replayed) == (3, None, False)


async def test_the_home_directory_and_tmp_can_be_written_and_the_rest_cannot(box: Sandbox) -> None:
    done = await run(
        box,
        "touch ~/a /tmp/b c && echo three; for d in / /usr /etc /opt/bellhop/runner /bellhop/in /bin; do"
        " touch $d/x 2>/dev/null && echo wrote $d; done; true",
    )
    assert done.output == "three\n"


async def test_the_box_sees_what_is_put_in_its_inbound_directory(bench: Bench) -> None:
    spec = bench.spec()
    async with bench.box(spec) as box:
        (spec.inbound / "note").write_text("from outside")
        done = await run(box, f"cat {box.inbound_path}/note")
        assert done.output == "from outside"
        assert (await box.runner.read_file(f"{box.inbound_path}/note")).text == "from outside"


async def test_there_is_no_network_but_the_box_s_own_loopback(box: Sandbox) -> None:
    devices = await run(box, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; cat /proc/net/route")
    assert devices.output.split()[0] == "lo"
    assert len([line for line in devices.output.splitlines() if line]) <= 2
    reached = await run(
        box,
        textwrap.dedent(
            """\
            python3 - <<'PY'
            import socket
            for address in [("127.0.0.1", 22), ("169.254.169.254", 80), ("1.1.1.1", 53), ("::1", 22)]:
                family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
                try:
                    socket.create_connection(address, 2) if family == socket.AF_INET else socket.socket(
                        family).connect(address)
                    print("reached", address)
                except OSError as error:
                    print("no")
            PY"""
        ),
    )
    assert reached.output.split() == ["no"] * 4


async def test_a_listener_of_the_host_cannot_be_reached(box: Sandbox) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(greet, "0.0.0.0", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        done = await run(box, f"exec 3<>/dev/tcp/127.0.0.1/{port}")
    assert done.exit_code == 1
    assert "refused" in done.output


async def test_processes_of_the_host_are_not_seen(box: Sandbox) -> None:
    done = await run(box, f"kill -0 {os.getpid()} 2>&1; ls /proc | grep -c '^[0-9]'")
    assert int(done.output.split()[-1]) < 20


async def test_no_capability_is_held_and_none_can_be_gained(box: Sandbox) -> None:
    done = await run(box, "grep -E '^(CapInh|CapPrm|CapEff|CapAmb|NoNewPrivs)' /proc/self/status")
    figures = dict(line.split(":\t") for line in done.output.splitlines())
    assert {name: int(value, 16) for name, value in figures.items()} == {
        "CapInh": 0,
        "CapPrm": 0,
        "CapEff": 0,
        "CapAmb": 0,
        "NoNewPrivs": 1,
    }
    mounted = await run(box, "mount -t tmpfs none /workspace 2>&1 || mount -o remount,rw / 2>&1")
    assert mounted.exit_code != 0


async def test_git_threads_asyncio_and_multiprocessing_work(box: Sandbox) -> None:
    script = """\
        mkdir tools && cd tools && git init -q .
        git -c user.name=Ada -c user.email=a@example.org commit -q --allow-empty -m first
        git log --format=%s
        python3 - <<'PY'
        import asyncio, multiprocessing, threading
        seen = []
        threads = [threading.Thread(target=seen.append, args=(n,)) for n in range(4)]
        [t.start() for t in threads]; [t.join() for t in threads]
        print(sorted(seen))
        async def main():
            p = await asyncio.create_subprocess_exec("echo", "sub", stdout=-1)
            print((await p.communicate())[0])
        asyncio.run(main())
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(abs, [-1, -2]))
        PY
        cd .. && rm -rf tools"""
    done = await run(box, textwrap.dedent(script))
    assert done.output.splitlines() == ["first", "[0, 1, 2, 3]", "b'sub\\n'", "[1, 2]"]


async def test_cancelling_the_task_ends_every_process_of_the_command(box: Sandbox) -> None:
    command = (
        "setsid sh -c 'sleep 301 & sleep 302' & (setsid sh -c '(sleep 303 &) ; exec env -i sleep 304' &) ;"
        " nohup sleep 305 & echo started; sleep 306"
    )
    started = asyncio.Event()
    task = asyncio.create_task(
        box.runner.exec(call_id(), command, timeout_seconds=120, on_output=lambda _: started.set())
    )
    async with asyncio.timeout(60):
        await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(60):  # less than the command may take
            await task
    left = await run(box, "ps -eo args 2>/dev/null | grep -c '^sleep 30[1-6]'")
    assert left.output.strip() == "0"


async def test_a_command_over_its_time_is_ended_and_said_so(box: Sandbox) -> None:
    # A machine that stands still may take longer than the first to begin.
    for seconds in (0.3, 3, 30):
        done = await run(box, "echo begun; sleep 300", timeout_seconds=seconds)
        assert (done.exit_code, done.timed_out) == (None, True)
        assert done.cause == f"timed out after {seconds} s"
        if done.output:
            break
    assert done.output == "begun\n"


async def test_a_memory_hog_is_ended_with_its_cause_and_the_box_goes_on(bench: Bench) -> None:
    async with bench.box() as box:
        # No more than it needs, however late it is looked at: the rest of the machine is not the box's.
        hog = (
            "exec python3 -c 'import time; x = []\n"
            'while len(x) < 256: x.append(bytearray(b"x" * (1 << 22)))\n'
            "time.sleep(300)'"
        )
        done = await run(box, hog)
        assert done.cause == "out of memory"
        assert (await run(box, "echo alive")).output == "alive\n"


async def test_a_fork_bomb_is_contained_and_the_box_goes_on(bench: Bench) -> None:
    async with bench.box() as box:
        await run(box, "bomb() { bomb | bomb & }; bomb", timeout_seconds=5)
        assert (await run(box, "echo alive")).output == "alive\n"


async def test_a_disk_filler_is_ended_with_its_cause(bench: Bench) -> None:
    async with bench.box() as box:
        done = await run(
            box, "while :; do head -c 8M /dev/zero >> full; sleep 0.02; done", timeout_seconds=60
        )
        assert done.cause is not None
        assert done.cause.startswith("disk full")
        assert (await run(box, "rm full; echo alive")).output == "alive\n"


async def test_a_running_box_is_adopted_with_what_runs_in_it(bench: Bench) -> None:
    spec = bench.spec()
    async with bench.box(spec) as first:
        assert (first.origin, first.adopted) == ("created", False)
        job = await first.runner.background_start(call_id(), "sleep 300")
        second = await bench.environment.open(spec)
        async with second:
            assert second.adopted
            assert (await second.runner.background_status(job.job_id)).running


async def test_a_box_whose_opening_was_cut_off_is_there_all_the_same_for_whoever_opens_it_next(
    bench: Bench,
) -> None:
    spec = bench.spec()
    opening = asyncio.create_task(bench.environment.open(spec))
    await asyncio.sleep(0)  # it has begun
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with bench.box(spec) as box:
        assert box.origin == "adopted"
        assert (await run(box, "echo whole")).output == "whole\n"


async def test_a_call_of_a_worker_that_died_is_joined_by_the_next_one(bench: Bench) -> None:
    spec, shared_id = bench.spec(), call_id()
    async with bench.box(spec) as box:
        command = "echo ran >> times; echo before; until [ -e go ]; do sleep 0.02; done; echo after"
        arguments = ["-c", WORKER, str(box.runner.socket_path), shared_id, command]
        worker = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.PIPE
        )
        assert worker.stdout is not None
        async with asyncio.timeout(60):
            assert await worker.stdout.readline() == b"before\n"
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
        async with await bench.environment.open(spec) as adopted:
            assert adopted.adopted
            joining = asyncio.create_task(adopted.runner.exec(shared_id, command, timeout_seconds=60))
            await adopted.runner.write_file(call_id(), "go", "")
            done = await joining
            assert (done.output, done.replayed) == ("before\nafter\n", True)
            assert (await adopted.runner.exec(shared_id, command, timeout_seconds=60)).output == done.output
            assert (await run(adopted, "cat times")).output == "ran\n"


WORKER = """
import asyncio, sys
from pathlib import Path
from sandbox.environments.runner_client import RunnerClient
async def main():
    client = RunnerClient(Path(sys.argv[1]))
    await client.exec(sys.argv[2], sys.argv[3], timeout_seconds=60,
                      on_output=lambda text: print(text, end="", flush=True))
asyncio.run(main())
"""


async def test_a_killed_box_is_gone_for_its_callers_and_replaced_with_its_files(bench: Bench) -> None:
    spec, lost_id = bench.spec(), call_id()
    async with bench.box(spec) as box:
        await box.runner.write_file(call_id(), "kept", "work")
        started = asyncio.Event()
        task = asyncio.create_task(
            box.runner.exec(
                lost_id, "echo up; sleep 300", timeout_seconds=60, on_output=lambda _: started.set()
            )
        )
        async with asyncio.timeout(60):
            await started.wait()
        await box.kill()
        with pytest.raises(RunnerGone):
            await task
        with pytest.raises(RunnerGone):
            await run(box, "true")
        assert await box.cause_of_death() is not None
        assert [info.running for info in await bench.environment.list() if info.name == spec.name] == [False]
        async with await bench.environment.open(spec) as again:
            assert (again.origin, again.adopted) == ("restarted", False)
            assert (await again.runner.read_file("kept")).text == "work"
            lost = await again.runner.exec(lost_id, "echo up; sleep 300", timeout_seconds=60)
            assert (lost.exit_code, lost.replayed) == (None, True)
            assert (lost.cause or "").startswith("interrupted")
            assert await again.cause_of_death() is None


async def test_stopping_ends_the_processes_and_keeps_the_files(bench: Bench) -> None:
    spec = bench.spec()
    async with bench.box(spec) as box:
        job = await box.runner.background_start(call_id(), "sleep 300")
        await box.runner.write_file(call_id(), "kept", "work")
        await box.stop()
        found = await bench.environment.find(spec.name)
        assert found is not None
        assert not found.running
        async with await bench.environment.open(replace(spec, env={})) as again:
            assert again.origin == "restarted"
            assert (await run(again, "echo $GREETING")).output == "hello\n"
            assert (await again.runner.read_file("kept")).text == "work"
            with pytest.raises(ToolRefused, match="no background job"):
                await again.runner.background_status(job.job_id)


async def test_a_snapshot_of_a_busy_box_gives_another_box_its_files_and_its_journal(bench: Bench) -> None:
    done_id = call_id()
    async with bench.box() as box:
        await box.runner.exec(done_id, "echo once >> log; ln -s log link; chmod 700 log", timeout_seconds=60)
        await box.runner.background_start(
            call_id(), "while :; do mkdir busy; touch busy/{1..200}; rm -r busy; done"
        )
        reference = await box.snapshot("turn-1")
        assert reference in await bench.environment.snapshots()
        await run(box, "echo later >> log")
    try:
        async with bench.box(bench.spec(image=reference)) as restored:
            assert restored.origin == "created"
            assert (await run(restored, "cat link; stat -c %a log; echo more >> log")).output == "once\n700\n"
            again = await restored.runner.exec(
                done_id, "echo once >> log; ln -s log link; chmod 700 log", timeout_seconds=60
            )
            assert again.replayed
    finally:
        await bench.environment.remove_snapshot(reference)
    assert reference not in await bench.environment.snapshots()
    with pytest.raises(SandboxFailed):
        await bench.environment.open(bench.spec(image=reference))


async def test_a_box_kept_as_an_image_gives_others_its_files_and_nothing_of_its_calls(bench: Bench) -> None:
    tag, done_id = ImageTag("acme/Billing", "0123-abcd"), call_id()
    async with bench.box() as box:
        job = await box.runner.background_start(call_id(), "sleep 300")
        await box.runner.exec(done_id, "echo made > file; echo mine > ~/cache", timeout_seconds=60)
        kept = await box.keep(tag, {"bellhop.sha": "0123"})
        assert await box.cause_of_death() is not None, "nothing writes while it is kept"
    assert kept.labels["bellhop.sha"] == "0123"
    assert kept.size_bytes > 0
    try:
        assert kept.reference in [image.reference for image in await bench.environment.images()]
        spec = bench.spec(image=kept.reference)
        async with bench.box(spec) as made:
            assert (made.origin, (await run(made, "cat file ~/cache")).output) == ("created", "made\nmine\n")
            again = await made.runner.exec(done_id, "echo anew > file", timeout_seconds=60)
            assert (again.exit_code, again.replayed) == (0, False)
            with pytest.raises(ToolRefused, match="no background job"):
                await made.runner.background_status(job.job_id)
            await made.stop()
            other = replace(spec, labels={"bellhop.test": "2"})
            async with await bench.environment.open(other):
                (info,) = [info for info in await bench.environment.list() if info.name == spec.name]
            assert info.labels["bellhop.test"] == "1", "a box keeps the labels that it was made with"
        # Another repository's image of the same tag is another one.
        async with bench.box() as box:
            beside = await box.keep(ImageTag("acme-billing", "0123-abcd"), {})
        await bench.environment.remove_image(beside.reference)
        async with bench.box(bench.spec(image=kept.reference)) as made:
            assert (await run(made, "cat file")).output == "made\n"
    finally:
        await bench.environment.remove_image(kept.reference)
    await bench.environment.remove_image(kept.reference)
    assert kept.reference not in [image.reference for image in await bench.environment.images()]
    with pytest.raises(SandboxFailed):
        await bench.environment.open(bench.spec(image=kept.reference))


async def test_the_base_of_boxes_is_named_and_known_again(bench: Bench) -> None:
    base = await bench.environment.base(WantedBase())
    assert base == await bench.environment.base(WantedBase())
    assert (base.note, await bench.environment.place()) == ("", await bench.environment.place())
    async with bench.box(bench.spec(image=base.reference)) as box:
        assert (await run(box, "pwd")).output == "/workspace\n"


async def test_boxes_are_listed_with_session_and_labels_until_they_are_removed(bench: Bench) -> None:
    spec = bench.spec()
    async with bench.box(spec):
        (info,) = [info for info in await bench.environment.list() if info.name == spec.name]
        assert (info.session_id, info.running, info.labels["bellhop.test"]) == ("s-1", True, "1")
        assert await bench.environment.find(spec.name) == info
    assert spec.name not in [info.name for info in await bench.environment.list()]
    assert await bench.environment.find(spec.name) is None
    await bench.environment.remove(spec.name)


async def test_a_name_that_is_no_name_is_refused(bench: Bench) -> None:
    with pytest.raises(SandboxFailed, match="cannot name a box"):
        await bench.environment.open(bench.spec(name="../up"))


async def test_a_socket_replaced_by_a_link_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    async with bench.box() as box:
        await run(box, "cd /run/bellhop && mv runner.sock moved && ln -s moved runner.sock")
        await box.runner.aclose()
        with pytest.raises(RunnerGone, match="not a socket"):
            await box.runner.ping()


async def test_figures_of_the_box_are_told(box: Sandbox) -> None:
    await run(box, "head -c 1M /dev/urandom > megabyte; sync megabyte")
    stats = await box.stats()
    assert stats.processes >= 1
    assert stats.workspace_bytes >= 1024 * 1024
    assert stats.memory_bytes is not None
    assert stats.memory_bytes > 1024 * 1024


async def test_a_program_of_the_box_answers_under_its_name_until_the_box_stops(bench: Bench) -> None:
    listen = "import socket; s = socket.create_server(('127.0.0.1', 8231))\nwhile True: s.accept()"
    ask = "python3 -c \"import socket; socket.create_connection(('{}', 8231))\""
    store = BoxProgram("store", f'exec python3 -c "{listen}"', ask.format("localhost"))
    # The shell around this one lives for a while after it, as on a machine that stands still.
    lives_on = """trap 'case "$BASH_EXECUTION_STRING" in *"such table"*) sleep 60;; esac' EXIT"""
    broken = BoxProgram("queue", "echo no such table; exit 3", "false", {"BASH_ENV": "/workspace/lives-on"})
    spec = replace(bench.spec(), hosts=("store", "queue"))
    async with bench.box(spec) as box:
        await box.runner.write_file(call_id(), "lives-on", lives_on)
        opened = await open_services(bench.environment, box, WantedServices((store, broken)))
        assert (opened.running, opened.began) == (("store",), ("store",))
        (problem,) = opened.problems
        assert problem.startswith(
            "The service queue ended when it was started: `echo no such table; exit 3`."
        )
        assert problem.endswith("Its last output:\nno such table")
        for name in ("store", "STORE", "localhost"):
            assert (await run(box, ask.format(name))).exit_code == 0, name
        again = await open_services(bench.environment, box, WantedServices((store,)))
        assert (again.running, again.began, again.problems) == (("store",), (), ())
        await box.stop()
    async with await bench.environment.open(spec) as box:
        assert (await run(box, ask.format("store"))).exit_code != 0
        opened = await open_services(bench.environment, box, WantedServices((store,)))
        assert opened.began == ("store",)
        assert (await run(box, ask.format("store"))).exit_code == 0
    await bench.environment.remove(spec.name)


async def test_isolation_is_one_sentence(bench: Bench) -> None:
    assert bench.environment.isolation.endswith(".")
    assert bench.environment.name in ("docker", "local")
