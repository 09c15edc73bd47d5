"""Code in one box uses what is another box's: its door, its runner, what people allowed it.

Asset: another session, its code, its secrets, the approvals people gave it.
Attacker: code that the agent of one session was made to run.
Path: sockets by guessed paths, links, names, processes and directories around its own; headers that claim to
be another; a link in place of its own runner's socket, for the worker to follow.
Control: each box sees one door's directory, read-only; which socket is which session, whatever the request
says; the worker connects to sockets and follows no link.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sandbox.environments.protocol import Sandbox
from sandbox.environments.runner_client import RunnerGone
from session import events as e
from session.people import Origin, Prompt
from tests.attacks.frame import Control, refuted
from tests.attacks.outside import attack, program
from tests.sandbox.door.stage import ADA, BOX, Stage, stage
from tests.sandbox.environments.boxes import Bench, run

CONTROLS = (
    Control(
        "sandbox/environments/docker_containers.py",
        (("BoxMount(spec.door.absolute(), DOOR", "BoxMount(spec.door.absolute().parent, DOOR"),),
    ),
    Control(
        "sandbox/environments/local_plan.py",
        (("Bind(str(door.absolute()), DOOR)", "Bind(str(door.absolute().parent), DOOR)"),),
    ),
)
PROOF = "test_another_door"

ALLOWED, OURS, OUR_BOX = "granted.example.com", "s2", "bellhop-s2"
CLAIMS = (
    "X-Bellhop-Session: s1",
    "X-Bellhop-Box: bellhop-s1",
    "Forwarded: for=bellhop-s1",
    "Proxy-Authorization: s1",
)


async def second_session(s: Stage) -> Path:
    """A session of the same repository, to which nobody has allowed anything; its door."""
    chosen = e.RepositoryChosen(slug=s.repository.slug, branch="main", how="named", reason="it was named")
    prompt = Prompt(id=f"{OURS}-1", text="Do something else", author=ADA)
    opened = e.SessionOpened(title="Else", origin=Origin(platform="web"), requester=ADA)
    await s.log.create(OURS, [opened, e.PromptQueued(prompt=prompt), chosen])
    return await s.doors.open(OURS, OUR_BOX, {})


async def status(box: Sandbox, s: Stage, *options: str) -> str:
    """The status that the box gets for the request that people allowed the first session."""
    more = " ".join(f"{option!r}" for option in options)
    asked = f"curl -sS -o /dev/null -w '%{{http_code}}' {more} {s.url('/', ALLOWED)}"
    return (await run(box, asked)).output[-3:]


async def test_another_door_and_another_runner_are_out_of_reach(bench: Bench) -> None:
    async with stage(secrets={"DB": "hunter2hunter2"}, box_secrets=("DB",)) as s:
        s.home.chmod(0o711)
        theirs, ours = bench.spec(door=s.directory), bench.spec(door=await second_session(s))
        async with bench.box(theirs) as victim, bench.box(ours) as box:
            told = {
                "names": [BOX, victim.name],
                "sockets": [str(s.directory / "door.sock"), str(victim.runner.socket_path)],
                "files": [
                    str(s.directory / "secrets" / "DB"),
                    f"{s.directory}.json",
                    str(bench.directory / "in"),
                ],
            }
            outcomes = await attack(box, program("intruder"), told)
            had = [f"{way}: {end}" for way, end in outcomes.items() if end.startswith("had")]
            refuted(not had, f"one box had what is another's by {'; '.join(had)}")


async def test_what_one_session_may_another_may_not(bench: Bench) -> None:
    async with stage() as s:
        s.home.chmod(0o711)
        await s.allow(f"GET {ALLOWED}:{s.upstream.port}")
        theirs, ours = bench.spec(door=s.directory), bench.spec(door=await second_session(s))
        async with bench.box(theirs) as victim, bench.box(ours) as box:
            assert await status(victim, s) == "200"
            s.upstream.got.clear()
            for claim in ("", *CLAIMS):
                for how in ("-H", "--proxy-header"):
                    got = await status(box, s, *([how, claim] if claim else []))
                    refuted(
                        got != "200" and not s.upstream.got, f"{how} {claim or 'nothing'} was let through"
                    )
            await worker_follows(box, victim)


async def worker_follows(box: Sandbox, victim: Sandbox) -> None:
    """A link where the worker looks for the box's runner."""
    await run(
        box, f"cd /run/bellhop && mv runner.sock former && ln -s {victim.runner.socket_path} runner.sock"
    )
    await box.runner.aclose()
    with suppress(RunnerGone):
        await run(box, "touch /workspace/was-here")
    there = await run(victim, "ls /workspace")
    refuted("was-here" not in there.output, "a command for one box ran in another")
