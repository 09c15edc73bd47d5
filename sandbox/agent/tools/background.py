"""The tool `background`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from sandbox.agent.actions import describe_command
from sandbox.agent.box_limits import limits_of_job
from sandbox.agent.tool import Arguments, Tool, ToolOutcome, ToolResult
from sandbox.agent.tool_context import ToolContext
from sandbox.environments.runner_client import BackgroundStatus

MAX_OUTPUT_BYTES = 50 * 1024


class BackgroundArguments(Arguments):
    action: Literal["start", "output", "stop"] = Field(description="What to do.")
    command: str | None = Field(None, description="For start: the shell command that goes on running.")
    id: str | None = Field(None, description="For output and stop: the id that start gave.")
    offset: int = Field(0, ge=0, description="For output: the byte to read from.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.action == "start" and not self.command:
            raise ValueError("start needs a command")
        if self.action != "start" and not self.id:
            raise ValueError(f"{self.action} needs the id that start gave")
        return self


class Background(Tool[BackgroundArguments]):
    """Runs commands that go on beside the others."""

    name = "background"
    description = (
        "Start a command that keeps running (a server, a watcher, a long build), read what it wrote so "
        "far, or stop it. Processes end with the sandbox."
    )
    arguments = BackgroundArguments
    mutates = True
    journaled = True

    def action(self, arguments: BackgroundArguments) -> str:
        if arguments.action == "start":
            return f"{describe_command(arguments.command or '')} in the background"
        words = {"output": "looking at", "stop": "stopping"}[arguments.action]
        return f"{words} a background process"

    async def run(self, context: ToolContext, arguments: BackgroundArguments) -> ToolOutcome:
        if arguments.action == "start":
            command = arguments.command or ""
            if instead := await context.commands.instead(context.call_id, command, None):
                return instead
            started = await context.runner.background_start(
                context.call_id,
                command,
                env=context.workspace.author_env(context.turn.author),
            )
            return ToolResult(f"Started with id {started.job_id}. {_state(started)}")
        job_id = arguments.id or ""
        if arguments.action == "stop":
            stopped = await context.runner.background_stop(job_id)
            return ToolResult(f"Stopped. {_state(stopped)}", events=limits_of_job(context.turn, stopped))
        read = await context.runner.background_output(job_id, arguments.offset, MAX_OUTPUT_BYTES)
        status = await context.runner.background_status(job_id)
        return ToolResult(
            f"{read.text or '(nothing new)'}\n[{_state(status)} Read on from offset {read.next_offset}.]",
            events=limits_of_job(context.turn, status),
        )


def _state(status: BackgroundStatus) -> str:
    if status.running:
        return f"It runs since {status.age_seconds:.0f} s."
    if status.cause and status.cause != "stopped":
        return f"It was ended: {status.cause}."
    return f"It has ended, exit code {status.exit_code}."
