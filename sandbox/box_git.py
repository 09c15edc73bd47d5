"""Git inside a box: the scripts that lay out a repository there and bring work out of it.

All git on what an agent has written runs in the box. Nothing it prints is trusted further than a bundle that
the quarantine checks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from uuid import uuid4

from sandbox.environments.protocol import SandboxFailed
from sandbox.environments.runner_client import ExecResult, OnOutput, RunnerClient, RunnerError, RunnerGone
from session.people import Person

GIT_SECONDS = 300.0
OUT_BUNDLE = ".git/bellhop-out.bundle"
HEAD_REF = "refs/bellhop/head"
CHECKPOINT_REF = "refs/bellhop/checkpoint"
READY_REF = "refs/bellhop/ready"
PREPARED_REF = "refs/bellhop/prepared"
"""Marks in a box: the files of the session are in place; and set-up has run to its end too."""
READ_BYTES = 4 * 1024 * 1024
COMMITTER = {"GIT_COMMITTER_NAME": "Bellhop", "GIT_COMMITTER_EMAIL": "bellhop@users.noreply.bellhop.invalid"}
NAMES = "git -c core.quotePath=false diff --no-ext-diff --name-only"
QUIET = "git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c commit.gpgSign=false"


def author_env(author: Person) -> Mapping[str, str]:
    """The environment in which commits are the author's, committed by Bellhop."""
    return {
        "GIT_AUTHOR_NAME": plain(author.name),
        "GIT_AUTHOR_EMAIL": plain(author.commit_email),
        **COMMITTER,
    }


def plain(name: str) -> str:
    """A name or address without what git's commit headers are made of."""
    return " ".join("".join(" " if c in "<>\r\n\0" else c for c in name).split()) or "unknown"


LEFT_BEHIND = (
    "__pycache__/",
    "*.pyc",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".hypothesis/",
    ".coverage",
    "node_modules/",
    ".DS_Store",
)
"""Never part of a change, also where a repository forgot to ignore it. What is tracked stays tracked."""

LEAVE_BEHIND = f"printf '%s\\n' {' '.join(map(quote, LEFT_BEHIND))} >.git/info/exclude"
LOCKED = "locked"
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
NOTED = ".git/bellhop-noted"
LISTED_BYTES = 40_000


@dataclass(frozen=True, slots=True)
class BoxState:
    """How far a box has come: whose repository lies in it (its slug, empty in a new box), the commits that
    are checked out and that the base branch is at (empty: none is known), whether it was `laid_out` and
    `prepared`, and whether some git has `locked` it, which may be long gone."""

    repository: str = ""
    head: str = ""
    base_sha: str = ""
    laid_out: bool = False
    prepared: bool = False
    locked: bool = False


def set_up_call(number: int, command: str, attempt: int) -> str:
    """The id under which a box knows a set-up command."""
    return f"setup-{number}-{hashlib.sha256(command.encode()).hexdigest()[:16]}-{attempt}"


def _moving(branch: str, sha: str) -> str:
    return (
        f"git update-ref {quote(f'refs/remotes/origin/{branch}')} {sha} && "
        f"{QUIET} checkout --quiet --force -B {quote(branch)} {sha}"
    )


class BoxGit:
    """Git in the box behind `runner`; `inbound` is where the box sees its bundles."""

    def __init__(self, runner: RunnerClient, inbound: str) -> None:
        self._runner = runner
        self._inbound = inbound

    async def state(self, branch: str) -> BoxState:
        """How far the box has come, with that base branch. Raises: SandboxFailed."""
        origin = f"refs/remotes/origin/{branch}"
        said = await self._exec(
            "exec 2>/dev/null; git config bellhop.repository || echo; "
            "git rev-parse --verify --quiet HEAD || echo; "
            "git for-each-ref --format='%(refname) %(objectname)' "
            f"{READY_REF} {PREPARED_REF} {quote(origin)}; "
            f"[ -z \"$(find .git -maxdepth 1 -name '*.lock')\" ] || echo {LOCKED}"
        )
        repository, head, *rest = (*said.output.splitlines(), "", "")
        known = {name: sha for name, _, sha in (line.partition(" ") for line in rest)}
        return BoxState(
            repository,
            head,
            known.get(origin, ""),
            laid_out=READY_REF in known,
            prepared=PREPARED_REF in known,
            locked=LOCKED in known,
        )

    async def fetch_base(self, base_bundle: str) -> None:
        """The base branch as the bundle has it, under `origin/`; nothing is checked out. Raises:
        SandboxFailed."""
        await self._must(self._fetching(base_bundle), "fetching the base")

    async def lay_out(self, branch: str, *, base_bundle: str, base_sha: str) -> None:
        """A clone of the base branch in the workspace, checked out at `base_sha`. Raises: SandboxFailed."""
        await self._must(
            f"git init --quiet -b {quote(branch)} . && {self._fetching(base_bundle)} && "
            f"{QUIET} checkout --quiet --force -B {quote(branch)} {base_sha}",
            "laying out the repository",
        )

    async def catch_up(self, branch: str, *, base_bundle: str | None, base_sha: str) -> None:
        """A repository that was laid out at an earlier commit, checked out at `base_sha`; files that git does
        not know or ignores stay. base_bundle: what the box lacks of it. Raises: SandboxFailed."""
        fetch = "" if base_bundle is None else f"{self._fetching(base_bundle)} && "
        await self._must(fetch + _moving(branch, base_sha), "bringing the repository up to date")

    async def move_to(self, branch: str, sha: str) -> tuple[str, ...]:
        """The branch checked out at a commit that the box has; the files that this changed, the first
        thousand or so. Files that git does not know or ignores stay. Raises: SandboxFailed."""
        moved = await self._must(
            f"before=$(git rev-parse HEAD) && {_moving(branch, sha)} && "
            f"{NAMES} --no-renames $before {sha} | head -c {LISTED_BYTES}",
            "bringing the repository up to date",
        )
        return tuple(moved.output.splitlines())

    async def changed_files(self) -> tuple[str, ...]:
        """Files that git knows and that differ from the commit that is checked out. Raises: SandboxFailed."""
        found = await self._must(
            f"{NAMES} HEAD | head -c {LISTED_BYTES}", "looking at what the set-up changed"
        )
        return tuple(found.output.splitlines())

    async def unlock(self) -> None:
        """What git locked before it was cut off is free again. A git that still runs is waited for, for some
        seconds; should it run on, all stays locked. Raises: SandboxFailed."""
        await self._exec(UNLOCK)

    async def note_files(self) -> None:
        """What is in the workspace now is what `drop_newer` leaves there. Raises: SandboxFailed."""
        await self._must(
            f"{LEAVE_BEHIND} && GIT_INDEX_FILE={NOTED} {QUIET} add --all", "looking at what the set-up made"
        )

    async def drop_newer(self) -> None:
        """Files that came since `note_files` are gone, and changes too; what git ignores stays.

        Raises: SandboxFailed.
        """
        await self._must(
            f"GIT_INDEX_FILE={NOTED} git clean --quiet --force -d && rm -f {NOTED} && "
            f"{QUIET} reset --quiet --hard",
            "clearing up after the checks",
        )

    async def take_in(self, work_bundle: str, reference: str) -> None:
        """A ref of a bundle, fetched under the same name. Raises: SandboxFailed."""
        bundle = quote(f"{self._inbound}/{work_bundle}")
        await self._must(
            f"git fetch --quiet --no-tags {bundle} '+{reference}:{reference}'", "taking in the session's work"
        )

    async def check_out(self, sha: str) -> None:
        """The tree of exactly that commit. Raises: SandboxFailed."""
        await self._must(f"{QUIET} checkout --quiet --force --detach {sha}", f"checking out {sha}")

    async def restore(self) -> None:
        """The workspace as the checkpoint has it: its commits, and its uncommitted and untracked files. What
        git ignores stays as it is.

        Raises: SandboxFailed.
        """
        await self._must(
            f"{QUIET} reset --quiet --hard {CHECKPOINT_REF} && git clean -d --force --quiet && "
            f"{QUIET} reset --quiet --mixed {CHECKPOINT_REF}^",
            "restoring the workspace",
        )

    async def claim(self, slug: str) -> None:
        """What lies in the box is that repository's, from before it is complete. Raises: SandboxFailed."""
        await self._must(f"git config bellhop.repository {quote(slug)}", "setting up git")

    async def mark_ready(self, slug: str) -> None:
        """The session's files are in place: later starts find that repository laid out. Raises:
        SandboxFailed."""
        await self._must(
            f"{LEAVE_BEHIND} && git config bellhop.repository {quote(slug)} && "
            f"git update-ref {READY_REF} HEAD",
            "setting up git",
        )

    async def unmark(self) -> None:
        """The session's files are not in place, until `mark_ready`. Raises: SandboxFailed."""
        await self._must(f"git update-ref -d {READY_REF}", "setting up git")

    async def mark_prepared(self, author: Person, origin: str) -> None:
        """Whoever commits in the box from here on commits as the author, without what tools leave behind,
        and finds the repository at `origin`; its set-up is not run again. Raises: SandboxFailed."""
        await self._must(
            f"{LEAVE_BEHIND} && "
            f"git config remote.origin.url {quote(origin)} && "
            "git config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*' && "
            f"git config user.name {quote(plain(author.name))} && "
            f"git config user.email {quote(plain(author.commit_email))} && "
            f"git update-ref {PREPARED_REF} HEAD",
            "setting up git",
        )

    async def commit_all(self, message: str, author: Person, base_branch: str) -> bytes | None:
        """A bundle of everything in the workspace, committed; None when nothing differs from the base.

        Raises: SandboxFailed, RunnerError.
        """
        origin = quote(f"refs/remotes/origin/{base_branch}")
        script = (
            "set -e; git add --all\n"
            f'git diff --cached --quiet || printf %s "$MESSAGE" | {QUIET} commit --quiet --file=-\n'
            f"git update-ref {HEAD_REF} HEAD\n"
            f"if git diff --quiet $(git merge-base {origin} HEAD) HEAD; then echo none; exit 0; fi\n"
            f"git bundle create --quiet {OUT_BUNDLE} {HEAD_REF} --not {origin}\n"
        )
        env = {**author_env(author), "MESSAGE": message}
        result = await self._must(script, "committing", env)
        return None if result.output.strip().endswith("none") else await self._read_bundle()

    async def checkpoint(self, author: Person, base_branch: str) -> bytes:
        """A bundle of the whole workspace as it is, untracked files too; no branch moves.

        Raises: SandboxFailed, RunnerError.
        """
        try:
            await self._take_checkpoint(author)
        except RunnerGone:
            raise
        except RunnerError:
            # As in `_must`.
            await self.unlock()
            await self._take_checkpoint(author)
        origin = quote(f"refs/remotes/origin/{base_branch}")
        await self._must(
            f"git bundle create --quiet {OUT_BUNDLE} {CHECKPOINT_REF} --not {origin}", "saving the workspace"
        )
        return await self._read_bundle()

    async def _take_checkpoint(self, author: Person) -> None:
        await self._runner.checkpoint(
            "Checkpoint", author_name=plain(author.name), author_email=plain(author.commit_email)
        )

    async def run(
        self, command: str, timeout_seconds: float, on_output: OnOutput | None = None
    ) -> ExecResult:
        """A command of the repository (set-up, check) in a shell of the box. Raises: RunnerError."""
        return await self._runner.exec(
            f"harness-{uuid4().hex}", command, timeout_seconds=timeout_seconds, on_output=on_output
        )

    async def set_up(self, number: int, command: str, timeout_seconds: float) -> ExecResult:
        """A set-up command, the one of that number. One that an earlier worker began is waited for; one that
        has succeeded in this box is not run again. Raises: RunnerError."""
        attempt = 0
        while True:
            call_id = set_up_call(number, command, attempt)
            result = await self._runner.exec(call_id, command, timeout_seconds=timeout_seconds)
            if not result.replayed or result.exit_code == 0:
                return result
            attempt += 1

    def _fetching(self, base_bundle: str) -> str:
        bundle = quote(f"{self._inbound}/{base_bundle}")
        return f"git fetch --quiet --no-tags {bundle} '+refs/heads/*:refs/remotes/origin/*'"

    async def _read_bundle(self) -> bytes:
        parts: list[bytes] = []
        offset = 0
        while True:
            part = await self._runner.read_bytes(OUT_BUNDLE, offset, READ_BYTES)
            parts.append(part.data)
            offset += len(part.data)
            if offset >= part.total_bytes or not part.data:
                return b"".join(parts)

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
