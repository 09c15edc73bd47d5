"""A session's box with the repository in it: opened, made ready beside the agent, lost and rebuilt, saved."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import structlog

from sandbox.agent.turn_log import TurnLog
from sandbox.base_commit import BaseCommit
from sandbox.box_git import BoxGit, BoxState
from sandbox.box_work import CHECKPOINT_REF, HEAD_REF, BoxWork, author_env
from sandbox.broker.door.parts import DoorTaken
from sandbox.broker.git import GitFailed
from sandbox.broker.quarantine import Quarantine, QuarantineRefused
from sandbox.bundles import Bundles
from sandbox.doors import Door, WorkerDoors
from sandbox.environments.images import IMAGE_LABEL
from sandbox.environments.protocol import (
    WORKSPACE,
    Environment,
    ImageMissing,
    Sandbox,
    SandboxFailed,
    SandboxSpec,
)
from sandbox.environments.runner_client import RunnerClient, RunnerError, RunnerGone
from sandbox.holds import refusal
from sandbox.images.ready_images import ReadyImages, Start
from sandbox.lost_boxes import why_lost
from sandbox.preparation import Beginnings, Preparation, PreparationParts
from sandbox.session_boxes import SessionBoxes
from sandbox.snapshots import Finished, SnapshotKeeper
from sandbox.sync import SharedFiles, Sync
from session import events as e
from session.people import Person
from session.snapshots import Snapshot

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
        self._is_warm = False
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
        self._files = SharedFiles()
        self._sync: Sync | None = None
        self._lost_in_sync = False
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
        """The box is there and its files can be read; what else it lacks is done from here on, beside the
        agent. Whoever opens it closes it.

        Emits: SandboxReady; NoteAdded when the newest image failed; once all is done WorkspaceSynced, and
        what `Preparation.complete` has to tell.
        Raises: EnvironmentUnavailable, SandboxFailed, GitFailed.
        """
        await self.attach()
        state = await self._git.state(self._base.branch)
        if state.repository not in ("", self._base.repository.slug):
            # Somebody said that another repository is meant: nothing of the first one may come along.
            await self.close()
            await self._boxes.discard(self._name)
            await self.attach()
            state = await self._git.state(self._base.branch)
        made = self._is_fresh
        self.is_new = self.is_new or made
        preparation = self._preparation(state)
        restored = await preparation.for_reading()
        earlier = any(isinstance(record.event, e.SandboxReady) for record in self._turn.records)
        ready = e.SandboxReady(
            backend=self._environment.name,
            isolation=self._environment.isolation,
            box=self._name,
            image=self._image or "",
            how=self._how,
            replaced=earlier and made,
            restored=restored,
            let_go=made and not restored and preparation.let_go,
            secrets=self._door.secrets if self._door else (),
        )
        await self._turn.append(ready, *(self._note() if made and not state.laid_out else ()))

        async def complete(sync: Sync) -> None:
            prepared = await preparation.complete()
            synced = e.WorkspaceSynced(
                turn_id=self._turn.turn_id,
                seconds=round(sync.seconds, 3),
                waited_seconds=round(sync.waited_seconds, 3),
                services=prepared.services,
            )
            await self._turn.append(synced, *prepared.events)

        self._sync = Sync(complete, f"sync of {self._turn.session_id}")

    async def admit(self, *, at_once: bool) -> None:
        """Returns when a call may be made: at once, or when the box is as the turn's work needs it.

        A box that was lost meanwhile is opened again, once. Raises: what preparing it raised.
        """
        if self._sync is None:
            return
        try:
            await self._sync.passed(at_once)
        except (RunnerGone, SandboxFailed) as error:
            gone = isinstance(error, RunnerGone) or isinstance(error.__cause__, RunnerGone)
            if not gone or self._lost_in_sync:
                raise
            self._lost_in_sync = True
            await self.recover(self.runner)
            await self._sync.passed(at_once)

    def reading(self) -> AbstractAsyncContextManager[None]:
        """The workspace's files are not exchanged meanwhile."""
        return self._files.reading()

    async def attach(self) -> None:
        """The box that is there, as it is, with its door open; or a new one.

        Raises: EnvironmentUnavailable, SandboxFailed, BrokerUnavailable.
        """
        session_id, repository = self._turn.session_id, self._base.repository
        self._name, self._is_warm = await self._boxes.name(session_id), False
        await self._boxes.discard_left(self._name)
        there = await self._environment.find(self._name)
        # What a new one is made of is looked up only for a new one.
        if there is None:
            await self._begin()
        else:
            self._start, self._snapshot = Start(there.labels.get(IMAGE_LABEL)), None
        try:
            chosen = self._start.chosen(repository)
            self._door = await self._doors.open(session_id, self._name, repository, chosen)
        except DoorTaken:
            # It was taken for another repository, and its worker died before it said so at the door.
            await self._boxes.discard(self._name)
            await self.attach()
            return
        try:
            self._sandbox = await self._environment.open(self._spec)
        except ImageMissing:
            if self._snapshot is None:
                raise
            # It is another host's, or somebody cleared the engine: the checkpoint is there all the same.
            self._snapshot = await self._snapshots.instead(self._snapshot)
            self._sandbox = await self._environment.open(self._spec)
        if there is not None and self._opened.origin == "created":
            # It went while this looked the other way, so what came in its place is made of nothing.
            await self.close()
            await self._environment.remove(self._name)
            await self.attach()
            return
        await self._boxes.give(session_id, self._name)

    async def _begin(self) -> None:
        """What a new box is made of; or one that waited, which is as a new one would be."""
        session_id, repository = self._turn.session_id, self._base.repository
        self._start = await self._images.start(self._base)
        self._snapshot = await self._snapshots.usable(session_id, repository.slug)
        wanted = self._spec if self._snapshot is None else None
        self._name, self._is_warm = await self._boxes.choose(session_id, wanted, repository)

    async def recover(self, lost: RunnerClient) -> None:
        """The box again after that connection found it gone: the same one if it lives, else rebuilt. Does
        nothing when another call has seen to it.

        Emits: SandboxLost, and as `open`. Raises: as `open`.
        """
        async with self._files.exchanging():
            if self._opened.runner is not lost:
                return
            cause = await why_lost(self._opened)
            await self.close()
            await self._turn.append(e.SandboxLost(cause=cause))
            await self.open()

    async def holds_work(self) -> bool:
        """Whether the session's files are in the box, so that its checkpoint may be replaced by them."""
        return (await self._git.state(self._base.branch)).laid_out

    async def hand_over(self, message: str) -> str | None:
        """The head of everything in the workspace, committed as the turn's author and taken into the
        quarantine.

        None when nothing differs from the base.
        Raises: SandboxFailed, RunnerError, QuarantineRefused, and as `admit`.
        """
        await self.admit(at_once=False)
        bundle = await self._work.commit_all(message, self._turn.author, self._base.branch)
        if bundle is None:
            return None
        return (await self._quarantine.receive_bundle(bundle)).references[HEAD_REF]

    async def save(self) -> None:
        """A checkpoint of the workspace is in the quarantine, so that a lost box can be rebuilt.

        Raises: SandboxFailed, RunnerError, QuarantineRefused, and as `admit`.
        """
        await self.admit(at_once=False)
        received = await self._quarantine.receive_bundle(
            await self._work.checkpoint(self._turn.author, self._base.branch)
        )
        self._saved = received.references[CHECKPOINT_REF]

    def ask_for_snapshot(self) -> None:
        """Once the turn's end is on record: a snapshot is taken of what was saved, while nobody waits."""
        if self._saved:
            view = self._turn.view
            finished = Finished(view.id, self._name, self._base.repository.slug, view.turns, self._saved)
            self._snapshots.ask(finished)

    async def close(self) -> None:
        """Nothing is done beside the agent any more, and the connection is closed; the box goes on."""
        if self._sync is not None:
            await self._sync.cancel()
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
        spec = self._start.spec(self._turn.session_id, self._name, self._base, self._inbound)
        image = self._snapshot.reference if self._snapshot else spec.image
        return replace(spec, image=image, door=self._door.directory if self._door else None)

    @property
    def _is_fresh(self) -> bool:
        """Whether the box was made for this turn, or waited for it: nothing of the session is in it yet."""
        return self._is_warm or self._opened.origin == "created"

    @property
    def _how(self) -> e.BoxStart:
        if self._is_warm:
            return "warm"
        if not self._is_fresh:
            return "kept"
        if self._snapshot is not None:
            return "snapshot"
        return "image" if self._start.image else "base"

    @property
    def _image(self) -> str | None:
        """The repository's image that the box was made from just now; of an older box it is not known."""
        return self._start.image if self._is_fresh and self._snapshot is None else None

    @property
    def _git(self) -> BoxGit:
        return BoxGit(self._opened.runner, self._opened.inbound_path)

    @property
    def _work(self) -> BoxWork:
        return BoxWork(self._opened.runner, self._opened.inbound_path)

    def _preparation(self, state: BoxState) -> Preparation:
        parts = PreparationParts(
            self._turn, self._environment, self._base, self._quarantine, self._bundles, self._inbound
        )
        return Preparation(parts, self._opened, state, Beginnings(self._start, self._snapshot), self._files)

    def _note(self) -> list[e.Event]:
        if not self._start.note:
            return []
        return [e.NoteAdded(turn_id=self._turn.turn_id, text=self._start.note)]


async def save_quietly(workspace: Workspace, session_id: str) -> str | None:
    """None when the workspace was saved; otherwise what people should know of it, said of the sandbox."""
    try:
        await workspace.save()
    except (SandboxFailed, RunnerError, QuarantineRefused, GitFailed) as error:
        log.warning("workspace not saved", session_id=session_id, error=str(error))
        why = refusal("handover", str(error)).what.rstrip(".")
        return f"the work could not be saved outside of it, and would be lost with it. {why}"
    return None
