"""A session's box with the repository in it: opened, furnished, lost and rebuilt, saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import structlog

from sandbox.agent.turn_log import TurnLog
from sandbox.base_commit import BaseCommit
from sandbox.box_git import CHECKPOINT_REF, HEAD_REF, BoxGit, author_env
from sandbox.broker.git import GitFailed
from sandbox.broker.git_http import origin_url
from sandbox.broker.quarantine import Quarantine, QuarantineRefused
from sandbox.bundles import BASE_BUNDLE, WORK_BUNDLE, Bundles
from sandbox.doors import Door, WorkerDoors, placeholders
from sandbox.environments.protocol import (
    WORKSPACE,
    Environment,
    ImageMissing,
    Sandbox,
    SandboxFailed,
    SandboxSpec,
)
from sandbox.environments.runner_client import RunnerClient, RunnerError
from sandbox.holds import refusal
from sandbox.images.ready_images import ReadyImages, Start
from sandbox.services import open_services
from sandbox.session_boxes import SessionBoxes
from sandbox.snapshots import Finished, SnapshotKeeper
from session import events as e
from session.people import Person
from session.snapshots import Snapshot

SETUP_SECONDS = 1200.0
log = structlog.get_logger()


class Workspace:
    """The box of the session that `turn` belongs to. `open` it before anything else.

    `inbound` is where boxes' inbound directories are. `is_new` is True when this turn had to make the box:
    nothing that ran in an earlier one is known of.
    """

    def __init__(
        self,
        turn: TurnLog,
        environment: Environment,
        boxes: SessionBoxes,
        base: BaseCommit,
        quarantine: Quarantine,
        bundles: Bundles,
        doors: WorkerDoors,
        images: ReadyImages,
        snapshots: SnapshotKeeper,
        inbound: Path,
    ) -> None:
        self._turn = turn
        self._environment = environment
        self._boxes = boxes
        self._base = base
        self._quarantine = quarantine
        self._bundles = bundles
        self._doors = doors
        self._images = images
        self._start = Start()
        self._snapshots = snapshots
        self._snapshot: Snapshot | None = None
        self._door: Door | None = None
        self._inbound_root = inbound
        self._name = ""
        self._sandbox: Sandbox | None = None
        self._saved = ""
        self.is_new = False

    @property
    def path(self) -> str:
        """The workspace's path as seen in the box."""
        return self._sandbox.workspace if self._sandbox else WORKSPACE

    @property
    def runner(self) -> RunnerClient:
        """Calls into the box."""
        return self._opened.runner

    @property
    def box(self) -> str:
        """The box's name."""
        return self._name

    def author_env(self, author: Person) -> Mapping[str, str]:
        """The environment in which the author's commands run."""
        return author_env(author)

    async def open(self) -> None:
        """The box is there, with the repository in it and the author's name on its git.

        Emits: SandboxReady; NoteAdded when a set-up command or the newest image failed; what
        `OpenedServices.events` says.
        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        await self.attach()
        if await self._git.repository() not in ("", self._base.repository.slug):
            # Somebody said that another repository is meant: nothing of the first one may come along.
            await self.close()
            await self._environment.remove(self._name)
            await self._boxes.forget(self._name)
            await self.attach()
        git = self._git
        restored = ""
        notes: list[e.Event] = []
        made = self._opened.origin == "created"
        self.is_new = self.is_new or made
        laid_out = await git.is_laid_out()
        if not laid_out:
            self.is_new = True
            restored = await self._furnish(git)
        elif made and self._snapshot is not None:
            restored = await self._catch_up(git, self._snapshot)
        if laid_out and await git.base_sha(self._base.branch) != self._base.sha:
            notes = await self._follow_base(git)
        services = await open_services(self._environment, self._opened, self._base.services)
        if not laid_out:
            notes = [*self._note(), *await self._set_up(git)]
        origin = origin_url(self._base.repository)
        await git.mark_ready(self._turn.author, self._base.repository.slug, origin)
        earlier = any(isinstance(record.event, e.SandboxReady) for record in self._turn.records)
        ready = e.SandboxReady(
            backend=self._environment.name,
            isolation=self._environment.isolation,
            box=self._name,
            image=self._image or "",
            replaced=earlier and self.is_new,
            restored=restored,
            secrets=self._door.secrets if self._door else (),
            services=services.running,
        )
        told = services.events(self._turn.view, self._turn.turn_id, is_new=not laid_out)
        await self._turn.append(ready, *notes, *told)

    async def attach(self) -> None:
        """The box that is there, as it is, with its door open.

        Raises: EnvironmentUnavailable, SandboxFailed, BrokerUnavailable.
        """
        session_id, repository = self._turn.session_id, self._base.repository
        self._name = await self._boxes.name(session_id)
        async with self._boxes.clearing(self._name) as is_left:
            if is_left:
                # The session has been elsewhere meanwhile: what this box holds is out of date.
                await self._environment.remove(self._name)
                await self._boxes.forget(self._name)
        is_here = await self._boxes.is_here(session_id)
        self._start = await self._images.start(self._base, fetch=not is_here)
        chosen = self._start.chosen(repository)
        self._door = await self._doors.open(session_id, self._name, repository, chosen)
        self._snapshot = await self._snapshots.usable(session_id, repository.slug)
        try:
            self._sandbox = await self._environment.open(self._spec)
        except ImageMissing:
            if self._snapshot is None:
                raise
            # It is another host's, or somebody cleared the engine: the checkpoint is there all the same.
            self._snapshot = await self._snapshots.instead(self._snapshot)
            self._sandbox = await self._environment.open(self._spec)
        await self._boxes.give(session_id, self._name)

    async def recover(self) -> None:
        """The box again after it stopped answering: the same one if it lives, else rebuilt.

        Emits: SandboxLost, SandboxReady. Raises: EnvironmentUnavailable, SandboxFailed.
        """
        cause = await self._opened.cause_of_death()
        await self.close()
        await self._turn.append(e.SandboxLost(cause=cause or "it stopped answering"))
        await self.open()

    async def hand_over(self, message: str) -> str | None:
        """The head of everything in the workspace, committed as the turn's author and taken into the
        quarantine.

        None when nothing differs from the base.
        Raises: SandboxFailed, RunnerError, QuarantineRefused.
        """
        bundle = await self._git.commit_all(message, self._turn.author, self._base.branch)
        if bundle is None:
            return None
        return (await self._quarantine.receive_bundle(bundle)).references[HEAD_REF]

    async def save(self) -> None:
        """A checkpoint of the workspace is in the quarantine, so that a lost box can be rebuilt.

        Raises: SandboxFailed, RunnerError, QuarantineRefused.
        """
        received = await self._quarantine.receive_bundle(
            await self._git.checkpoint(self._turn.author, self._base.branch)
        )
        self._saved = received.references[CHECKPOINT_REF]

    def ask_for_snapshot(self) -> None:
        """Once the turn's end is on record: a snapshot is taken of what was saved, while nobody waits."""
        if self._saved:
            view = self._turn.view
            finished = Finished(view.id, self._name, self._base.repository.slug, view.turns, self._saved)
            self._snapshots.ask(finished)

    async def close(self) -> None:
        """The connection is closed; the box goes on."""
        if self._sandbox is not None:
            sandbox, self._sandbox = self._sandbox, None
            await sandbox.__aexit__(None, None, None)

    @property
    def _opened(self) -> Sandbox:
        assert self._sandbox is not None, "the workspace is not open"
        return self._sandbox

    @property
    def _inbound(self) -> Path:
        return self._inbound_root / self._name

    @property
    def _spec(self) -> SandboxSpec:
        door = self._door.directory if self._door else None
        env = {**self._start.variables, **placeholders(self._base.repository)}
        image = self._snapshot.reference if self._snapshot else self._start.image
        return SandboxSpec(
            self._turn.session_id,
            self._name,
            image,
            self._inbound,
            env=env,
            labels=self._start.labels,
            door=door,
            hosts=self._base.services.names,
        )

    @property
    def _image(self) -> str | None:
        """The repository's image that the box was made from just now; of an older box it is not known."""
        fresh = self._opened.origin == "created" and self._snapshot is None
        return self._start.image if fresh else None

    @property
    def _git(self) -> BoxGit:
        return BoxGit(self._opened.runner, self._opened.inbound_path)

    async def _furnish(self, git: BoxGit) -> str:
        """The repository laid out in a new box; what of the session's earlier work came back, in words."""
        await lay_out(git, self._bundles, self._base, self._start if self._image else Start(), self._inbound)
        if await self._quarantine.resolve(CHECKPOINT_REF) is None:
            return ""
        await self._take_checkpoint(git)
        return "all files of the workspace are as they were last saved"

    async def _take_checkpoint(self, git: BoxGit) -> None:
        try:
            await self._bundles.place_work(self._quarantine, CHECKPOINT_REF, self._base, self._inbound)
        except GitFailed as error:
            raise SandboxFailed(f"the saved work cannot be carried into the sandbox: {error}") from error
        await git.take_in(WORK_BUNDLE, CHECKPOINT_REF)
        await git.restore()

    async def _catch_up(self, git: BoxGit, snapshot: Snapshot) -> str:
        """A box made of a snapshot has what was saved after it too; what came back, in words."""
        if await self._quarantine.resolve(CHECKPOINT_REF) == snapshot.checkpoint:
            return (
                "everything is as it was after the last turn, with what was installed; nothing runs any more"
            )
        await self._take_checkpoint(git)
        return (
            "all files of the workspace are as they were last saved, and what was installed is as it was "
            f"after turn {snapshot.turns}"
        )

    async def _follow_base(self, git: BoxGit) -> list[e.Event]:
        """An older box learns where its base branch is now; whether to rebase is for the agent to decide."""
        await self._bundles.place_base(self._base, self._inbound)
        await git.fetch_base(BASE_BUNDLE)
        text = (
            f"origin/{self._base.branch} has moved on since this workspace was made and is now at "
            f"{self._base.sha[:12]}. Your work still stands on the older commit."
        )
        return [e.NoteAdded(turn_id=self._turn.turn_id, text=text)]

    def _note(self) -> list[e.Event]:
        if not self._start.note:
            return []
        return [e.NoteAdded(turn_id=self._turn.turn_id, text=self._start.note)]

    async def _set_up(self, git: BoxGit) -> list[e.Event]:
        if self._image is not None:
            return []  # the image has had it
        for command in self._base.setup:
            result = await git.run(command, SETUP_SECONDS)
            if result.exit_code != 0:
                text = (
                    f"The repository's set-up command `{command}` failed "
                    f"({result.cause or result.exit_code}). Its last output:\n{result.output[-2000:]}"
                )
                return [e.NoteAdded(turn_id=self._turn.turn_id, text=text)]
        return []


async def lay_out(git: BoxGit, bundles: Bundles, base: BaseCommit, start: Start, inbound: Path) -> None:
    """The repository at its base commit in a new box: all of it, or what the box's image lacks.

    Raises: SandboxFailed, GitFailed.
    """
    if start.image is None:
        await bundles.place_base(base, inbound)
        await git.lay_out(base.branch, base_bundle=BASE_BUNDLE, base_sha=base.sha)
        return
    has_news = await bundles.place_since(base, start.sha, inbound)
    bundle = BASE_BUNDLE if has_news else None
    await git.catch_up(base.branch, base_bundle=bundle, base_sha=base.sha)


async def save_quietly(workspace: Workspace, session_id: str) -> str | None:
    """None when the workspace was saved; otherwise what people should know of it, said of the sandbox."""
    try:
        await workspace.save()
    except (SandboxFailed, RunnerError, QuarantineRefused, GitFailed) as error:
        log.warning("workspace not saved", session_id=session_id, error=str(error))
        why = refusal("handover", str(error)).what.rstrip(".")
        return f"the work could not be saved outside of it, and would be lost with it. {why}"
    return None
