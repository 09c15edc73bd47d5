"""What a session's box still lacks, and doing it: first what reading needs, the rest beside the agent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.agent.turn_log import TurnLog
from sandbox.base_commit import BaseCommit
from sandbox.box_git import BoxGit, BoxState
from sandbox.box_work import CHECKPOINT_REF, BoxWork
from sandbox.broker.git import GitFailed
from sandbox.broker.git_http import origin_url
from sandbox.broker.quarantine import Quarantine
from sandbox.bundles import BASE_BUNDLE, WORK_BUNDLE, Bundles
from sandbox.environments.protocol import Environment, Sandbox, SandboxFailed
from sandbox.images.ready_images import Start, at_first
from sandbox.services import open_services
from sandbox.sync import SharedFiles
from session import events as e
from session.snapshots import Snapshot

SETUP_SECONDS = 1200.0
NAMED_FILES = 20
NOT_KEPT = "anything that was saved later is not kept any more"


@dataclass(frozen=True, slots=True)
class PreparationParts:
    """What preparing needs of the turn, beside the box. `inbound` is the box's directory of bundles."""

    turn: TurnLog
    environment: Environment
    base: BaseCommit
    quarantine: Quarantine
    bundles: Bundles
    inbound: Path


@dataclass(frozen=True, slots=True)
class Beginnings:
    """Where a box comes from: how it started, and the snapshot it was made of just now, if it was."""

    start: Start
    snapshot: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of it: the services that run, and what people and the agent are to be told."""

    services: tuple[str, ...]
    events: tuple[e.Event, ...]


class Preparation:
    """Makes one box ready that has come as far as `state`. `for_reading` comes before `complete`.

    `files` are those of the box's workspace, which others may read meanwhile.
    """

    def __init__(
        self,
        parts: PreparationParts,
        box: Sandbox,
        state: BoxState,
        beginnings: Beginnings,
        files: SharedFiles,
    ) -> None:
        self._parts = parts
        self._box = box
        self._git = BoxGit(box.runner, box.inbound_path)
        self._work = BoxWork(box.runner, box.inbound_path)
        self._state = state
        self._beginnings = beginnings
        self._files = files
        self._is_behind = False

    async def for_reading(self) -> str:
        """The workspace holds files that are worth reading: the session's own, else the repository's.

        What of the session's earlier work came back, in words. Raises: SandboxFailed, GitFailed.
        """
        if self._state.locked:
            # Cut off by a stop, or by the end of a worker: the agent would stand before it too.
            await self._git.unlock()
        if self._state.laid_out:
            return await self._from_snapshot()
        has_work = await self._parts.quarantine.resolve(CHECKPOINT_REF) is not None
        if self._state.head and not has_work:
            # An image's files, perhaps older than the base: `complete` brings them up to it.
            await self._git.claim(self._parts.base.repository.slug)
            self._is_behind = True
            return ""
        await self._lay_out()
        if has_work:
            await self._take_checkpoint()
        await self._git.mark_ready(self._parts.base.repository.slug)
        if not has_work:
            return ""
        if self._parts.quarantine.let_go:
            return f"all files of the workspace are as this host last saved them; {NOT_KEPT}"
        return "all files of the workspace are as they were last saved"

    @property
    def let_go(self) -> bool:
        """Whether, where nothing came back, there was something that is not kept any more."""
        turn = self._parts.turn
        for record in reversed(turn.records):
            match record.event:
                case e.TurnFinished() if turn.view.saved:
                    return True
                case e.RepositoryChosen():
                    break
        return self._parts.quarantine.let_go

    async def complete(self) -> Prepared:
        """The box is as the turn's work needs it: at the base, its services there, its set-up done.

        Raises: EnvironmentUnavailable, SandboxFailed, GitFailed, RunnerError.
        """
        base, turn, git = self._parts.base, self._parts.turn, self._git
        notes: list[e.Event] = []
        changed: Sequence[str] = ()
        if self._is_behind:
            changed = await self._catch_up()
        elif self._state.laid_out and self._state.base_sha != base.sha:
            notes += await self._follow_base()
        services = await open_services(self._parts.environment, self._box, base.services)
        if not self._state.prepared and self._beginnings.start.image is None:
            commands = await at_first(base)
            before = await git.changed_files() if commands else ()
            notes += await self._set_up(commands)
            after = await git.changed_files() if commands else ()
            # What the agent itself had changed in a box that was lost is no news.
            changed = [*changed, *(path for path in after if path not in before)]
        await git.mark_prepared(turn.author, origin_url(base.repository))
        notes += changed_under_readers(turn, changed)
        told = services.events(turn.view, turn.turn_id, is_new=self._box.origin == "created")
        return Prepared(services.running, (*notes, *told))

    async def _from_snapshot(self) -> str:
        """A box made of a snapshot has what was saved after it too; what came back, in words."""
        snapshot = self._beginnings.snapshot
        if snapshot is None:
            return ""
        quarantine = self._parts.quarantine
        if await quarantine.resolve(snapshot.checkpoint) is None:
            # It is newer than all that is kept of what was saved.
            return f"everything is as it was after turn {snapshot.turns}; {NOT_KEPT}"
        if await quarantine.resolve(CHECKPOINT_REF) == snapshot.checkpoint:
            return (
                "everything is as it was after the last turn, with what was installed; nothing runs any more"
            )
        # Should this be cut off, the next start has to know that the files are not the newest.
        await self._git.unmark()
        await self._take_checkpoint()
        await self._git.mark_ready(self._parts.base.repository.slug)
        return (
            "all files of the workspace are as they were last saved, and what was installed is as it was "
            f"after turn {snapshot.turns}"
        )

    async def _lay_out(self) -> None:
        parts, image = self._parts, self._beginnings.start.image
        start = Start(image, self._state.head) if self._state.head and image else Start()
        await lay_out(self._git, parts.bundles, parts.base, start, parts.inbound)

    async def _take_checkpoint(self) -> None:
        parts = self._parts
        try:
            await parts.bundles.place_work(parts.quarantine, CHECKPOINT_REF, parts.base, parts.inbound)
        except GitFailed as error:
            raise SandboxFailed(f"the saved work cannot be carried into the sandbox: {error}") from error
        await self._work.take_in(WORK_BUNDLE, CHECKPOINT_REF)
        await self._work.restore()

    async def _catch_up(self) -> Sequence[str]:
        """An image's box is brought to the base commit; the files that this changed."""
        parts = self._parts
        if await parts.bundles.place_since(parts.base, self._state.head, parts.inbound):
            await self._git.fetch_base(BASE_BUNDLE)
        async with self._files.exchanging():
            changed = await self._git.move_to(parts.base.branch, parts.base.sha)
        await self._git.mark_ready(parts.base.repository.slug)
        return changed

    async def _follow_base(self) -> list[e.Event]:
        """An older box learns where its base branch is now; whether to rebase is for the agent to decide."""
        base = self._parts.base
        await self._parts.bundles.place_base(base, self._parts.inbound)
        await self._git.fetch_base(BASE_BUNDLE)
        text = (
            f"origin/{base.branch} has moved on since this workspace was made and is now at "
            f"{base.sha[:12]}. Your work still stands on the older commit."
        )
        return [e.NoteAdded(turn_id=self._parts.turn.turn_id, text=text)]

    async def _set_up(self, commands: Sequence[str]) -> list[e.Event]:
        for number, command in enumerate(commands):
            result = await self._git.set_up(number, command, SETUP_SECONDS)
            if result.exit_code != 0:
                text = (
                    f"The repository's set-up command `{command}` failed "
                    f"({result.cause or result.exit_code}). Its last output:\n{result.output[-2000:]}"
                )
                return [e.NoteAdded(turn_id=self._parts.turn.turn_id, text=text)]
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


def changed_under_readers(turn: TurnLog, changed: Sequence[str]) -> list[e.Event]:
    """What the agent has to know of files that changed after it may have read them in this turn; nothing when
    it has not looked at anything yet."""
    events = [record.event for record in turn.turn_records]
    outputs = [event.output for event in events if isinstance(event, e.ToolReturned)]
    if not outputs or not changed:
        return []
    replies = (event for event in events if isinstance(event, e.ModelReplied))
    shown = [*outputs, *(call.arguments for reply in replies for call in reply.tool_calls)]
    seen = [path for path in changed if _names(path, shown)]
    size = "one file is" if len(changed) == 1 else f"{len(changed)} files are"
    text = f"While you were looking around, the workspace was made ready, and {size} different now."
    if seen:
        named = ", ".join(f"`{path}`" for path in seen[:NAMED_FILES])
        more = f" and {len(seen) - NAMED_FILES} more" if len(seen) > NAMED_FILES else ""
        text += f" You have seen an older state of {named}{more}: read them again before you rely on them."
    else:
        text += " None of what you were shown names one; search again where you found nothing."
    return [e.NoteAdded(turn_id=turn.turn_id, text=text)]


def _names(path: str, texts: Sequence[str]) -> bool:
    whole = re.compile(rf"(?<![\w.-]){re.escape(path)}(?![\w-])")
    return any(path in text and whole.search(text) for text in texts)
