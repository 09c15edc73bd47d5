"""The services of a repository, opened beside a box or in it before anything of the repository runs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import structlog

from sandbox.agent.output import strip_terminal
from sandbox.environments.protocol import Environment, Sandbox
from sandbox.environments.runner_client import RunnerClient, ToolRefused
from sandbox.environments.service import (
    OVER,
    BoxProgram,
    ServiceFailed,
    ServiceSpec,
    WantedServices,
    until_ready,
)
from session import events as e
from session.parts import away, back
from session.view import SessionView

LOOK_SECONDS = 10.0
GRACE_SECONDS = 10.0
SAID_BYTES = 1000
PART, PREFIX = "services", "service "
"""What all of them and, with its name, each of them are called among the parts that may be away."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OpenedServices:
    """What became of the services that were wanted, by their names.

    `began` are those of `running` that were not there before, `failures` says of each other one why not.
    """

    wanted: WantedServices
    running: tuple[str, ...] = ()
    began: tuple[str, ...] = ()
    failures: Mapping[str, ServiceFailed] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why there is not everything that was wanted, in sentences; empty when there is."""
        mistake = (f"No services run. {self.wanted.mistake}",) if self.wanted.mistake else ()
        return (*mistake, *(str(failure) for failure in self.failures.values()))

    def events(self, view: SessionView, turn_id: str, *, is_new: bool) -> Sequence[e.Event]:
        """What people and the agent are to be told. `is_new`: the box was made just now.

        Emits: PartDegraded with NoteAdded for what is not there, once; PartRecovered when it is there again;
        NoteAdded about services that began anew, and about wishes that are not followed.
        """
        found: list[e.Event] = []

        def tell(part: str, detail: str, text: str) -> None:
            if degraded := away(view, part, detail):
                found.extend((*degraded, e.NoteAdded(turn_id=turn_id, text=text)))

        if self.wanted.mistake:
            tell(PART, self.wanted.mistake, self.problems[0])
        else:
            found += back(view, PART)
        for name, failure in self.failures.items():
            tell(f"{PREFIX}{name}", f"it {failure.what}", f"{failure}\nThe work goes on without it.")
        for item in view.degraded:
            name = item.part.removeprefix(PREFIX)
            if item.part.startswith(PREFIX) and name not in self.failures:
                found.append(e.PartRecovered(part=item.part))
        if self.began and not is_new:
            text = (
                "The sandbox was stopped meanwhile, so these services have begun anew: "
                f"{', '.join(self.began)}. "
                "What was put into them is gone; fill them again where the work needs it."
            )
            found.append(e.NoteAdded(turn_id=turn_id, text=text))
        if is_new and self.wanted.notes:
            found.append(e.NoteAdded(turn_id=turn_id, text="\n".join(self.wanted.notes)))
        return found


async def open_services(environment: Environment, box: Sandbox, wanted: WantedServices) -> OpenedServices:
    """Each wanted service is there, one after another, or it is known why not.

    Raises: EnvironmentUnavailable, RunnerError.
    """
    running: list[str] = []
    began: list[str] = []
    failures: dict[str, ServiceFailed] = {}
    for service in wanted.services:
        try:
            if await _open(environment, box, service):
                began.append(service.name)
            running.append(service.name)
        except ServiceFailed as failure:
            log.warning("service not there", box=box.name, service=service.name, error=failure.what)
            failures[service.name] = failure
    return OpenedServices(wanted, tuple(running), tuple(began), failures)


async def _open(environment: Environment, box: Sandbox, service: ServiceSpec | BoxProgram) -> bool:
    if isinstance(service, ServiceSpec):
        return await environment.open_service(box.name, service)
    try:
        return await _start(box.runner, service)
    except ToolRefused as error:
        raise ServiceFailed(service.name, f"could not be started: {error}.") from error


async def _start(runner: RunnerClient, program: BoxProgram) -> bool:
    """The program runs in the box and answers; whether it was started now. Raises: ServiceFailed."""
    call = f"service-{program.name}-{uuid4().hex}"
    env = dict(program.env)
    there = await runner.exec(f"{call}-look", program.ready, timeout_seconds=LOOK_SECONDS, env=env)
    if there.exit_code == 0:
        return False
    # One that fails at once is not waited for; one that goes on in the background has ended well.
    ended = f"/tmp/{call}"
    job = await runner.background_start(call, f"( {program.command}\n) || echo $? >{ended}", env=env)
    script = until_ready(program.ready, program.ready_seconds, over=f"[ -e {ended} ]")
    seconds = program.ready_seconds + GRACE_SECONDS
    waited = await runner.exec(f"{call}-ready", script, timeout_seconds=seconds, env=env)
    if waited.exit_code == 0:
        return True
    said = await _last_words(runner, job.job_id)
    # The shell around a program that failed may take a moment longer to end.
    failed = waited.exit_code == OVER or not (await runner.background_status(job.job_id)).running
    await runner.background_stop(job.job_id)
    if failed:
        raise ServiceFailed(program.name, f"ended when it was started: `{program.command}`.", said)
    answer = strip_terminal(waited.output).strip()[-SAID_BYTES:] or "nothing"
    what = f"did not answer within {program.ready_seconds} s: `{program.ready}` said {answer}."
    raise ServiceFailed(program.name, what, said)


async def _last_words(runner: RunnerClient, job_id: str) -> str:
    total = (await runner.background_status(job_id)).total_bytes
    output = await runner.background_output(job_id, max(0, total - SAID_BYTES))
    return strip_terminal(output.text).strip()
