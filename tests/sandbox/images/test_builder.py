"""Images are built from the default branch, used by new sessions, and kept in service when a build fails."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, closing
from datetime import timedelta

import pytest
from docker import DockerClient

from sandbox.environments.docker_containers import OWNER_LABEL
from sandbox.environments.docker_engine import DockerEnvironment
from sandbox.environments.hardening import SECCOMP_PROFILE, softened
from sandbox.environments.images import IMAGE_LABEL
from sandbox.environments.protocol import PURPOSE_LABEL, SandboxSpec
from sandbox.images.jobs import ImageJobs
from sandbox.images.running_build import BUILD, BUILD_LABEL, STOPPED, WORKER_LOST
from sandbox.session_boxes import box_name
from session import events as e
from session.audit import read_row
from session.catalogue import Approvals
from session.image_builds import ImageBuild, ImageBuilds, Made, lock_name
from session.locks import Locks
from tests.emulators.model.turns import tool
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.test_jobs import FINISH, FIX, PROPOSE
from tests.sandbox.workbench import git

SETUP = ("echo set-up >> .venv-log; mkdir -p ~/tools; echo tool > ~/tools/bin", "env | grep -i proxy; true")
VERIFY = ("echo warm > ~/cache; echo left > left-behind; sh check.sh",)
AUTO = Approvals(pull_request="auto")
IGNORED: dict[str, str | bytes | None] = {".gitignore": ".venv-log\n"}


def push(house: Household, message: str, files: dict[str, str | bytes | None]) -> str:
    """A commit on the default branch of the forge."""
    sha = house.upstream.commit(message, files)
    git(house.upstream.path, "push", "--quiet", str(house.home / "billing.git"), "main")
    return sha


async def built(house: Household) -> ImageBuild:
    """What a look built; it has to have been ready."""
    build = await house.builder().look(house.repository.slug)
    assert build is not None
    assert build.state == "ready", await ImageBuilds(house.database).log(build.id)
    return build


async def test_an_image_is_built_on_change_and_sessions_start_from_it() -> None:
    async with household(setup=SETUP, verify=VERIFY, files=IGNORED, approvals=AUTO) as house:
        builds = ImageBuilds(house.database)
        first = await built(house)
        log = await builds.log(first.id)
        assert "[exit code 0 after" in log
        assert "total is wrong" in log, "the checks fail at the base, which does not matter"
        assert (first.layers, first.made.sha, first.whole_at) == (1, house.upstream.head(), first.finished_at)
        assert first.reference.endswith(f"/{first.made.sha[:12]}-{first.made.fingerprint}")
        assert await house.environment.list() == []
        assert await house.builder().look(house.repository.slug) is None, "nothing has changed"
        rows = [read_row(row).entry for row in await house.database.rows("SELECT * FROM audit")]
        fetched = [row for row in rows if row.action == "forge.fetch"]
        assert {(row.target, row.session_id) for row in fetched} == {("acme/billing", "")}

        # The branch moves on, and a session comes before the next look.
        head = push(house, "Say more", {"README.md": "# More\n"})
        script = "cat README.md .venv-log ~/tools/bin ~/cache; ls; git status --short; git rev-parse HEAD"
        house.model.script(MODEL, tool("bash", command=script), FIX, PROPOSE, FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        events = await house.events(session_id)
        shown = next(event.output for event in events if isinstance(event, e.ToolReturned))
        assert shown.startswith("# More\nset-up\ntool\nwarm\n"), "set-up ran once, in the build"
        assert "left-behind" not in shown
        assert shown.strip().endswith(head)
        (ready,) = [event for event in events if isinstance(event, e.SandboxReady)]
        assert ready.image == first.reference
        assert view.verification is not None
        assert view.verification.verdict == "passed"
        assert [check.command for check in view.verification.checks] == [*VERIFY]
        (box,) = await house.environment.list()
        assert box.labels[IMAGE_LABEL] == first.reference

        second = await built(house)
        assert (second.layers, second.made.sha, second.whole_at) == (2, head, first.whole_at)
        assert "On top of the image of" in await builds.log(second.id)
        # What makes a box ready has changed: from the base again.
        changed = push(
            house, "Add", {".devcontainer.json": '{"containerEnv": {"TZ": "UTC"}, "features": {}}'}
        )
        third = await built(house)
        assert (third.layers, third.made.sha) == (1, changed)
        assert "`features` of .devcontainer.json is not followed." in await builds.log(third.id)
        again = await house.builder().build(house.repository.slug)
        assert again is not None
        assert (again.state, again.layers, again.reference) == ("ready", 1, third.reference)


async def test_a_failing_build_keeps_the_former_image_and_the_thread_is_told() -> None:
    async with household(verify=(), setup=("sh setup.sh",), files={"setup.sh": "echo fine\n"}) as house:
        first = await built(house)
        push(house, "Break", {"setup.sh": "echo no index of packages; exit 3\n"})
        failed = await house.builder().look(house.repository.slug)
        assert failed is not None
        assert (failed.state, failed.passing) == ("failed", False)
        assert failed.cause == (
            "Its set-up command `sh setup.sh` failed (exit code 3); its last words: no index of packages"
        )
        assert await house.builder().look(house.repository.slug) is None, "it is left alone for a while"
        house.model.script(MODEL, FINISH)
        session_id = await house.opened()
        await house.run(session_id)
        notes = [event.text for event in await house.events(session_id) if isinstance(event, e.NoteAdded)]
        assert len(notes) == 1
        assert "could not be built: Its set-up command `sh setup.sh` failed" in notes[0]
        assert f"of commit {first.made.sha[:12]}" in notes[0]
        (ready,) = [x for x in await house.events(session_id) if isinstance(x, e.SandboxReady)]
        assert ready.image == first.reference
        # A mistake in the file itself is one too, once.
        push(house, "Mistake", {".devcontainer.json": '{"image": 3}'})
        mistaken = await house.builder().look(house.repository.slug)
        assert mistaken is not None
        assert mistaken.cause.startswith(".devcontainer.json:1: `image` must be a text")
        assert await house.builder().look(house.repository.slug) is None
        other = await house.opened()
        house.model.script(MODEL, FINISH)
        await house.run(other)
        notes = [event.text for event in await house.events(other) if isinstance(event, e.NoteAdded)]
        assert any(
            "starts without an image of its repository: .devcontainer.json:1" in text for text in notes
        )


async def test_without_an_image_a_devcontainer_s_commands_run_in_the_box_and_before_the_checks() -> None:
    devcontainer = '{"onCreateCommand": "echo created > ~/tool", "postCreateCommand": "echo tool >> ~/tool"}'
    files: dict[str, str | bytes | None] = {".devcontainer.json": devcontainer}
    verify = ("cat ~/tool", "sh check.sh")
    async with household(
        setup=("echo set-up > ~/first",), verify=verify, files=files, approvals=AUTO
    ) as house:
        house.model.script(MODEL, tool("bash", command="cat ~/first ~/tool"), FIX, PROPOSE, FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        returned = [x for x in await house.events(session_id) if isinstance(x, e.ToolReturned)]
        assert returned[0].output == "set-up\ncreated\ntool"
        assert view.verification is not None
        assert view.verification.verdict == "passed"


async def test_a_dockerfile_needs_the_company_s_word() -> None:
    files: dict[str, str | bytes | None] = {
        ".devcontainer.json": '{"build": {"dockerfile": "Dockerfile"}}',
        "Dockerfile": "FROM debian:bookworm\n",
    }
    async with household(files=files) as house:
        refused = await house.builder().look(house.repository.slug)
        assert refused is not None
        assert "set `engine_builds: true` to allow it" in refused.cause
    async with household(files=files, policy={"engine_builds": True}, verify=()) as house:
        build = await built(house)
        assert "The Dockerfile is left out" in await ImageBuilds(house.database).log(build.id)


async def test_one_build_at_a_time_and_a_dead_worker_s_is_taken_over() -> None:
    async with household(verify=(), setup=("true",)) as house:
        builds, locks, slug = ImageBuilds(house.database), Locks(house.database), house.repository.slug
        place = await house.environment.place()
        both = await asyncio.gather(house.builder().build(slug), house.builder().build(slug))
        assert sorted(build is None for build in both) == [False, True]
        # As a worker leaves it that is killed: its lock runs out, its box and its record stay.
        left = await builds.begin(Made(slug, place, "a" * 40))
        labels = {PURPOSE_LABEL: BUILD, BUILD_LABEL: left}
        spec = SandboxSpec("", f"build-{left}", None, house.home / "in", labels=labels)
        async with await house.environment.open(spec):
            pass
        assert await house.reaper().sweep() == 1, "nobody has the lock, so nobody builds in it"
        async with await house.environment.open(spec):
            pass
        assert await locks.take(lock_name(slug), "dead", timedelta(seconds=1))
        push(house, "Work", {"README.md": "more\n"})
        jobs = ImageJobs(
            house.builder(5), house.parts.disk, house.parts.catalogue, locks, timedelta(seconds=1)
        )
        await jobs.look_at_images()
        found = await builds.find(left)
        assert found is not None
        assert (found.state, found.cause, found.passing) == ("failed", WORKER_LOST, True)
        assert (await builds.of(slug))[0].state == "ready"
        assert await house.environment.list() == []


async def test_a_build_that_is_stopped_or_loses_its_lock_says_so_and_leaves_nothing() -> None:
    async with household(verify=(), setup=("touch /tmp/begun; sleep 600",)) as house:
        builds, locks, slug = ImageBuilds(house.database), Locks(house.database), house.repository.slug
        said: list[str] = []
        begun = asyncio.Event()

        def listen(text: str) -> None:
            said.append(text)
            if "$ touch" in text:
                begun.set()

        running = asyncio.create_task(house.builder().build(slug, listen))
        await asyncio.wait_for(begun.wait(), 60)
        assert await house.reaper().sweep() == 0, "its build lives"
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        (stopped,) = await builds.of(slug)
        assert (stopped.state, stopped.cause, stopped.passing) == ("failed", STOPPED, True)
        assert "".join(said).startswith(f"acme/billing at {house.upstream.head()[:12]} of main\n")
        begun.clear()
        frozen = asyncio.create_task(house.builder().build(slug, listen))
        await asyncio.wait_for(begun.wait(), 60)
        # Another worker took this one for dead.
        (holder,) = await house.database.rows("SELECT holder FROM locks WHERE name = ?", lock_name(slug))
        await locks.drop(lock_name(slug), holder["holder"])
        assert await locks.take(lock_name(slug), "another", timedelta(minutes=10))
        assert await asyncio.wait_for(frozen, 60) is None
        assert await locks.held(lock_name(slug)), "the other one's lock is its own"
        assert await house.environment.list() == []
        assert await house.environment.images() == []


async def test_old_images_go_and_what_is_used_stays() -> None:
    async with household(verify=(), setup=("true",)) as house:
        builds, reaper = ImageBuilds(house.database), house.image_reaper()
        first = await built(house)
        house.model.script(MODEL, FINISH)
        session_id = await house.opened()
        await house.run(session_id)
        made = [first]
        for number in range(3):
            push(house, f"Work {number}", {"README.md": f"{number}\n"})
            made.append(await built(house))
        assert await reaper.sweep() == 1
        there = [image.reference for image in await house.environment.images()]
        assert sorted(there) == sorted(made[n].reference for n in (0, 2, 3)), "used, and the newest two"
        assert await builds.find(made[1].id) is None
        await house.environment.remove(box_name(session_id))
        # One that no record tells of, as a worker leaves it that dies before it writes one.
        await builds.forget(made[3].id)
        assert await reaper.sweep() == 1
        assert len(await house.environment.images()) == 2
        left = await builds.begin(Made(house.repository.slug, await house.environment.place()))
        await reaper.sweep()
        found = await builds.find(left)
        assert found is not None
        assert (found.state, found.passing) == ("failed", True)


@pytest.mark.needs("docker")
async def test_a_build_and_its_sessions_in_containers(
    docker_environment: DockerEnvironment, docker_host: str
) -> None:
    setup = ("echo set-up > .venv-log; echo $TZ; cat /bellhop/in/base.bundle | wc -c",)
    files = {**IGNORED, ".devcontainer.json": '{"containerEnv": {"TZ": "UTC"}, "remoteUser": "node"}'}
    async with AsyncExitStack() as stack:
        engine = stack.enter_context(closing(DockerClient(base_url=docker_host)))
        house = await stack.enter_async_context(
            household(setup=setup, verify=VERIFY, files=files, environment=docker_environment, approvals=AUTO)
        )
        seen: list[list[str]] = []
        # Other tests may build in this engine too.
        own = f"{OWNER_LABEL}={(await docker_environment.place()).rpartition(':')[2]}"

        def listen(text: str) -> None:
            if text.startswith("$ echo warm"):
                found = engine.containers.list(
                    filters={"label": ["bellhop.purpose=build", own]}, ignore_removed=True
                )
                seen.extend(softened(each.attrs["HostConfig"], SECCOMP_PROFILE.read_text()) for each in found)

        build = await house.builder().build(house.repository.slug, listen)
        assert build is not None
        assert build.state == "ready", await ImageBuilds(house.database).log(build.id)
        assert seen == [[]], "a build's box is hardened like all others"
        assert build.reference.startswith("bellhop/repo-acme-billing-")
        script = "cat .venv-log ~/cache; echo $TZ $USER; id -u; git rev-parse HEAD"
        house.model.script(MODEL, tool("bash", command=script), FIX, PROPOSE, FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        returned = [x for x in await house.events(session_id) if isinstance(x, e.ToolReturned)]
        assert returned[0].output == f"set-up\nwarm\nUTC node\n10001\n{build.made.sha}"
        assert view.verification is not None
        assert view.verification.verdict == "passed"
        assert await house.image_reaper().sweep() == 0
        await docker_environment.remove(box_name(session_id))
        await docker_environment.remove_image(build.reference)
