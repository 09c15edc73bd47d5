"""The tool `bash`."""

from __future__ import annotations

from pydantic import Field

from sandbox.agent.actions import describe_command
from sandbox.agent.box_limits import limits_reached
from sandbox.agent.tool import Arguments, Suspended, Tool, ToolOutcome, ToolResult
from sandbox.agent.tool_context import ToolContext
from sandbox.environments.runner_client import ExecResult
from session.events import ToolStatus

DEFAULT_TIMEOUT_SECONDS = 120
MAX_TIMEOUT_SECONDS = 600


class BashArguments(Arguments):
    command: str = Field(min_length=1, description="Shell command; it runs in a fresh bash each time.")
    timeout_seconds: int = Field(
        DEFAULT_TIMEOUT_SECONDS, ge=1, le=MAX_TIMEOUT_SECONDS, description="It is killed after this long."
    )
    workdir: str | None = Field(None, description="Directory to run in; the workspace's root if left out.")


class Bash(Tool[BashArguments]):
    """Runs a shell command in the box."""

    name = "bash"
    description = (
        "Run a shell command in the sandbox and get its output (stdout and stderr together) and exit code. "
        "Nothing of the shell is kept between calls but the files. For servers and watchers use "
        "background. There is no terminal: pass flags that keep programs from asking or paging."
    )
    arguments = BashArguments
    mutates = True
    journaled = True

    def action(self, arguments: BashArguments) -> str:
        return describe_command(arguments.command)

    async def run(self, context: ToolContext, arguments: BashArguments) -> ToolOutcome:
        call_id, doing = context.call_id, self.action(arguments)
        if instead := await context.commands.instead(call_id, arguments.command, arguments.workdir):
            return instead
        seen = await context.egress.seen()
        result = await context.runner.exec(
            call_id,
            arguments.command,
            timeout_seconds=arguments.timeout_seconds,
            workdir=arguments.workdir,
            env=context.workspace.author_env(context.turn.author),
        )
        status = _status(result)
        looked = await context.egress.look(call_id, seen, failed=status == "error", doing=doing)
        if isinstance(looked, Suspended):
            return looked
        return ToolResult(
            _shown(result, looked),
            status,
            events=limits_reached(context.turn, result),
            total_bytes=result.total_bytes,
            spilled_path=result.spilled_path,
        )


def _status(result: ExecResult) -> ToolStatus:
    if result.interrupted:
        return "unknown"
    return "ok" if result.exit_code == 0 else "error"


def _shown(result: ExecResult, told: str) -> str:
    ending = []
    if result.spilled_path:
        ending.append(f"[all {result.total_bytes} bytes of output are in {result.spilled_path}]")
    if result.cause:
        ending.append(f"[{result.cause}]")
    if "processes" in result.strained:
        ending.append("[the sandbox had as many processes as it may have]")
    if result.exit_code:
        ending.append(f"[exit code {result.exit_code}]")
    if told:
        ending.append(told)
    text = result.output.rstrip("\n")
    return "\n".join([*([text] if text else []), *ending]) or "(no output)"
