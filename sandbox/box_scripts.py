"""Git inside a box: how its scripts are run, also where somebody's lock is in their way.

All git on what an agent has written runs in the box. Nothing it prints is trusted further than a bundle that
the quarantine checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

from sandbox.environments.protocol import SandboxFailed
from sandbox.environments.runner_client import ExecResult, OnOutput, RunnerClient, RunnerError

GIT_SECONDS = 300.0
QUIET = "git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c commit.gpgSign=false"
UNLOCK_TRIES = 100
UNLOCK = f"""
busy() {{
  for process in /proc/[0-9]*; do
    read -r name <"$process/comm" && [ "$name" = git ] && return 0
  done 2>/dev/null
  return 1
}}
tries=0
while busy && [ $tries -lt {UNLOCK_TRIES} ]; do
  sleep 0.1
  tries=$((tries + 1))
done
busy || [ ! -d .git ] || find .git -name '*.lock' -delete
"""
"""A git that was killed leaves its locks, which say nothing of whether anybody holds them."""


class BoxScripts:
    """Scripts in the box behind `runner`; `inbound` is where the box sees its bundles."""

    def __init__(self, runner: RunnerClient, inbound: str) -> None:
        self._runner = runner
        self._inbound = inbound

    async def unlock(self) -> None:
        """What git locked before it was cut off is free again. A git that still runs is waited for, for some
        seconds; should it run on, all stays locked. Raises: SandboxFailed."""
        await self._exec(UNLOCK)

    async def run(
        self, command: str, timeout_seconds: float, on_output: OnOutput | None = None
    ) -> ExecResult:
        """A command of the repository (set-up, check) in a shell of the box. Raises: RunnerError."""
        return await self._runner.exec(
            f"harness-{uuid4().hex}", command, timeout_seconds=timeout_seconds, on_output=on_output
        )

    async def _must(self, script: str, doing: str, env: Mapping[str, str] | None = None) -> ExecResult:
        result = await self._exec(script, env)
        if result.exit_code not in (0, None):
            # A lock may have been in the way, of the agent's git or of a worker's that is gone. Whatever else
            # it was fails again.
            await self.unlock()
            result = await self._exec(script, env)
        if result.exit_code != 0:
            said = result.output.strip()[-500:] or result.cause or "it said nothing"
            raise SandboxFailed(f"{doing} in the sandbox failed: {said}")
        return result

    async def _exec(self, script: str, env: Mapping[str, str] | None = None) -> ExecResult:
        try:
            return await self._runner.exec(
                f"harness-{uuid4().hex}", script, timeout_seconds=GIT_SECONDS, env=env
            )
        except RunnerError as error:
            raise SandboxFailed(f"the sandbox did not do what it was asked: {error}") from error
