"""The work in a build's box: repository, set-up, one run of the checks, and what of that the image keeps."""

from __future__ import annotations

from sandbox.agent.output import strip_terminal
from sandbox.box_git import BoxGit
from sandbox.bundles import BASE_BUNDLE
from sandbox.images.build_log import BuildLog
from sandbox.images.plan import Plan

SETUP_SECONDS = 1200.0
CHECK_SECONDS = 1800.0
SAID_CHARACTERS = 300


class SetUpFailed(Exception):
    """A command of the repository's set-up did not succeed; the message names it and what it said last."""


async def lay_out_commit(git: BoxGit, plan: Plan, *, whole: bool, has_news: bool) -> None:
    """The box has the commit that the image is to be of.

    whole: it has nothing yet; else it is an earlier image's. has_news: a bundle with commits lies ready.
    Raises: SandboxFailed.
    """
    branch, sha = plan.base.branch, plan.base.sha
    if whole:
        await git.lay_out(branch, base_bundle=BASE_BUNDLE, base_sha=sha)
    else:
        await git.catch_up(branch, base_bundle=BASE_BUNDLE if has_news else None, base_sha=sha)


async def make_ready(git: BoxGit, plan: Plan, log: BuildLog, *, whole: bool) -> None:
    """The box with that commit is as the image is to be. Raises: SetUpFailed, SandboxFailed, RunnerError."""
    for command in plan.recipe.at_first if whole else plan.recipe.again:
        await _set_up(git, command, log)
    await git.note_files()
    for command in plan.recipe.verify:
        await _check(git, command, log)
    await git.drop_newer()


async def _set_up(git: BoxGit, command: str, log: BuildLog) -> None:
    log.line(f"$ {command}")
    result = await git.run(command, SETUP_SECONDS, on_output=log.add)
    log.line(_end(result.exit_code, result.cause, result.duration_seconds))
    if result.exit_code != 0:
        said = " ".join(strip_terminal(result.output).split())[-SAID_CHARACTERS:]
        ended = result.cause or f"exit code {result.exit_code}"
        raise SetUpFailed(
            f"Its set-up command `{_shown(command)}` failed ({ended})"
            + (f"; its last words: {said}" if said else " and said nothing")
        )


async def _check(git: BoxGit, command: str, log: BuildLog) -> None:
    """Run for the caches it fills: at the base commit its verdict decides nothing."""
    log.line(f"$ {command}   (so that its caches are warm; the result does not matter)")
    result = await git.run(command, CHECK_SECONDS, on_output=log.add)
    log.line(_end(result.exit_code, result.cause, result.duration_seconds))


def _end(exit_code: int | None, cause: str | None, seconds: float) -> str:
    return f"[{cause or f'exit code {exit_code}'} after {seconds:.1f} s]"


def _shown(command: str) -> str:
    line = " ".join(command.split())
    return line if len(line) <= 120 else f"{line[:119]}…"
