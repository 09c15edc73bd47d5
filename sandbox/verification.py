"""Verdicts: the repository's own checks, run by the harness in a fresh box on exactly one commit.

A fresh box, because whatever an agent left in its own (a `pytest` of its making on the path, a patched
package) must not speak for it. It may start from the repository's image, which no agent ever saw (ADR 0083).
"""

from __future__ import annotations

import hashlib
import shutil
from asyncio import to_thread
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from sandbox.agent.output import strip_terminal
from sandbox.base_commit import BaseCommit
from sandbox.box_git import BoxGit
from sandbox.box_work import HEAD_REF, BoxWork
from sandbox.broker.client import BrokerFailed
from sandbox.broker.git import GitFailed
from sandbox.broker.quarantine import Quarantine
from sandbox.bundles import WORK_BUNDLE, Bundles
from sandbox.disk_room import MAKE_ROOM, NoRoom
from sandbox.disk_watch import DiskWatch
from sandbox.doors import WorkerDoors
from sandbox.environments.protocol import (
    PURPOSE_LABEL,
    Environment,
    EnvironmentUnavailable,
    SandboxFailed,
)
from sandbox.environments.runner_client import RunnerError
from sandbox.environments.service import BoxProgram
from sandbox.images.ready_images import ReadyImages, at_first
from sandbox.preparation import lay_out
from sandbox.services import OpenedServices, open_services
from session.events import CheckResult, Verdict, VerificationFinished

CHECK_SECONDS = 1800.0
OUTPUT_CHARACTERS = 8000
NOT_NAMED = "The repository names no checks (`verify` in the catalogue or in .bellhop/config.yaml)."
log = structlog.get_logger()


class Verifier:
    """Runs checks in boxes of `environment`; `inbound_root` holds their inbound directories."""

    def __init__(
        self,
        environment: Environment,
        bundles: Bundles,
        doors: WorkerDoors,
        images: ReadyImages,
        disk: DiskWatch,
        inbound_root: Path,
    ) -> None:
        self._environment = environment
        self._bundles = bundles
        self._doors = doors
        self._images = images
        self._disk = disk
        self._inbound_root = inbound_root

    async def verify(
        self, session_id: str, turn_id: str, base: BaseCommit, quarantine: Quarantine, head_sha: str
    ) -> VerificationFinished:
        """The verdict on `head_sha`, which the quarantine holds: passed, failed or not run, never assumed."""
        if not base.verify:
            return VerificationFinished(
                turn_id=turn_id, head_sha=head_sha, verdict="not_run", reason=NOT_NAMED
            )
        name = f"check-{hashlib.sha256(f'{session_id} {head_sha}'.encode()).hexdigest()[:24]}"
        inbound = self._inbound_root / name
        try:
            # What an earlier attempt left is not fresh.
            await self._environment.remove(name)
            await self._disk.admit(name)
            start = await self._images.start(base)
            await self._bundles.place_work(quarantine, HEAD_REF, base, inbound)
            chosen = start.chosen(base.repository)
            door = await self._doors.open(session_id, name, base.repository, chosen)
            spec = start.spec(session_id, name, base, inbound)
            labels = {PURPOSE_LABEL: "verification", **spec.labels}
            spec = replace(spec, labels=labels, door=door.directory)
            async with await self._environment.open(spec) as sandbox:
                git = BoxGit(sandbox.runner, sandbox.inbound_path)
                await lay_out(git, self._bundles, base, start, inbound)
                work = BoxWork(sandbox.runner, sandbox.inbound_path)
                await work.take_in(WORK_BUNDLE, HEAD_REF)
                await work.check_out(head_sha)
                services = await open_services(self._environment, sandbox, base.services)
                setup = await at_first(base) if start.image is None else start.again
                checks = _not_started(services) or await self._checks(git, setup, base)
        except (EnvironmentUnavailable, SandboxFailed, RunnerError, GitFailed, BrokerFailed) as error:
            log.warning("verification could not run", session_id=session_id, error=str(error))
            return VerificationFinished(
                turn_id=turn_id, head_sha=head_sha, verdict="not_run", reason=_why_not_run(error)
            )
        finally:
            await self._environment.remove(name)
            await self._doors.close(name)
            await to_thread(shutil.rmtree, inbound, ignore_errors=True)
        verdict, reason = _verdict(checks, services)
        return VerificationFinished(
            turn_id=turn_id, head_sha=head_sha, verdict=verdict, checks=tuple(checks), reason=reason
        )

    async def _checks(self, git: BoxGit, setup: Sequence[str], base: BaseCommit) -> list[CheckResult]:
        """The results of set-up and checks; what comes after a failed set-up has not run.

        The set-up runs in a box of an image too: the change may be one of what the repository depends on.
        """
        results: list[CheckResult] = []
        for command in setup:
            prepared = await self._check(git, command)
            if prepared.verdict != "passed":
                results.append(prepared)
                return results
        for command in base.verify:
            results.append(await self._check(git, command))
        return results

    async def _check(self, git: BoxGit, command: str) -> CheckResult:
        result = await git.run(command, CHECK_SECONDS)
        verdict: Verdict = "passed" if result.exit_code == 0 else "failed"
        cause = f"\n[{result.cause}]" if result.cause else ""
        return CheckResult(
            command=command,
            verdict=verdict,
            exit_code=result.exit_code,
            duration_seconds=round(result.duration_seconds, 3),
            output=strip_terminal(result.output)[-OUTPUT_CHARACTERS:] + cause,
        )


def _why_not_run(error: Exception) -> str:
    if isinstance(error, NoRoom):
        return f"There was no room for the checks: {error}. {MAKE_ROOM}."
    return f"The checks could not be run: {error}"


def _not_started(services: OpenedServices) -> list[CheckResult]:
    """The box's own programs that do not run: what starts them may be what was changed, as with a set-up."""
    return [
        CheckResult(
            command=program.command,
            verdict="failed",
            exit_code=None,
            duration_seconds=0,
            output=str(services.failures[program.name])[-OUTPUT_CHARACTERS:],
        )
        for program in services.wanted.services
        if isinstance(program, BoxProgram) and program.name in services.failures
    ]


def _verdict(checks: list[CheckResult], services: OpenedServices) -> tuple[Verdict, str]:
    """The verdict, and what is to be said with it: red without a service beside the box says nothing of the
    change."""
    if _not_started(services):
        return "failed", ""
    missing = " ".join(services.problems)
    if all(check.verdict == "passed" for check in checks):
        return "passed", f"They passed without all of their services. {missing}" if missing else ""
    if missing:
        return "not_run", f"The checks need what is not there. {missing}"
    return "failed", ""


def failures(verification: VerificationFinished) -> str:
    """The failed checks with the end of what they printed, for the agent."""
    failed = [check for check in verification.checks if check.verdict == "failed"]
    return "\n\n".join(
        f"$ {check.command}\n{check.output.rstrip()}\n[exit code {check.exit_code}]" for check in failed
    )
