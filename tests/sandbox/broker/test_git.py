"""Git on the host stays within its time, its output and its environment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from sandbox.broker.git import GitFailed, GitOutputTooLarge, GitTimeout, run_git, running_git
from tests.sandbox.workbench import Workbench
from tests.session.room import eventually


async def test_a_failure_says_what_git_said(mirror: Path) -> None:
    with pytest.raises(GitFailed, match="nowhere") as failed:
        await run_git(mirror, "cat-file", "-p", "nowhere")
    assert failed.value.returncode == 128


async def test_accepted_codes_are_answers(mirror: Path) -> None:
    result = await run_git(mirror, "rev-parse", "--verify", "--quiet", "nowhere", accept=(0, 1))
    assert (result.text, result.succeeded) == ("", False)


async def test_output_is_cut_or_refused(mirror: Path) -> None:
    cut = await run_git(mirror, "cat-file", "-p", "main", max_output_bytes=10, truncate=True)
    assert (len(cut.stdout), cut.truncated) == (10, True)
    with pytest.raises(GitOutputTooLarge):
        await run_git(mirror, "cat-file", "-p", "main", max_output_bytes=10)


async def test_what_runs_too_long_is_killed(mirror: Path) -> None:
    slow = {"alias.slow": "!sleep 60"}
    with pytest.raises(GitTimeout):
        await run_git(mirror, "slow", config=slow, timeout_seconds=0.2)


async def test_a_running_command_ends_at_its_limit_and_with_its_context(mirror: Path) -> None:
    slow = {"alias.slow": "!sleep 60 #"}
    async with running_git(mirror, "slow", config=slow, variables={}, timeout_seconds=0.2) as process:
        assert await process.wait() < 0
    async with running_git(mirror, "slow", config=slow, variables={}, timeout_seconds=60) as process:
        assert process.returncode is None
    assert process.returncode is not None


@pytest.fixture
def stuck(tmp_path: Path) -> tuple[Mapping[str, str], Path]:
    """Settings under which a change of refs waits for ten minutes with its lock, and what is there then."""
    hooks, locked = tmp_path / "hooks", tmp_path / "locked"
    hooks.mkdir()
    hook = hooks / "reference-transaction"
    hook.write_text(f'#!/bin/sh\n[ "$1" != prepared ] || {{ touch {locked}; sleep 600; }}\n')
    hook.chmod(0o755)
    return {"core.hooksPath": str(hooks)}, locked


UPDATE = ("update-ref", "refs/heads/other", "main")


async def test_a_git_that_is_ended_at_its_work_leaves_no_lock_behind(
    mirror: Path, stuck: tuple[Mapping[str, str], Path]
) -> None:
    config, locked = stuck

    async def is_locked() -> bool:
        return locked.exists()

    working = asyncio.create_task(run_git(mirror, *UPDATE, config=config))
    await eventually(is_locked)
    assert locks(mirror)
    working.cancel()
    await asyncio.wait([working])
    assert locks(mirror) == []
    await run_git(mirror, *UPDATE)


@pytest.mark.parametrize("steps", range(2, 6))
async def test_a_git_that_is_given_up_while_it_starts_is_ended_as_well(
    mirror: Path, stuck: tuple[Mapping[str, str], Path], steps: int
) -> None:
    config, locked = stuck
    working = asyncio.create_task(run_git(mirror, *UPDATE, config=config))
    for _ in range(steps):
        await asyncio.sleep(0)
    # The loop stands still meanwhile, and has not seen that git runs.
    while not locked.exists():
        pass
    working.cancel()
    await asyncio.wait([working])
    assert locks(mirror) == []
    await run_git(mirror, *UPDATE)


def locks(repository: Path) -> list[Path]:
    return list(repository.rglob("*.lock"))


async def test_no_protocol_is_open_unless_asked_for(mirror: Path) -> None:
    with pytest.raises(GitFailed, match="not allowed"):
        await run_git(None, "ls-remote", str(mirror))
    with pytest.raises(GitFailed, match="not allowed"):
        await run_git(None, "ls-remote", "ext::sh -c 'touch /nowhere'", protocols=("file",))
    assert "refs/heads/main" in (await run_git(None, "ls-remote", str(mirror), protocols=("file",))).text


async def test_hooks_do_not_run(mirror: Path, box: Workbench, tmp_path: Path) -> None:
    (mirror / "hooks").mkdir(exist_ok=True)
    hook = mirror / "hooks" / "reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/marker\n")
    hook.chmod(0o755)
    await run_git(mirror, "update-ref", "refs/heads/other", "main")
    assert not (tmp_path / "marker").exists()
