"""A repository in a box: laid out, brought up to date, and marked with how far it has come."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from shlex import quote

from sandbox.box_scripts import QUIET, BoxScripts
from sandbox.box_work import plain
from sandbox.environments.runner_client import ExecResult
from session.people import Person

READY_REF = "refs/bellhop/ready"
PREPARED_REF = "refs/bellhop/prepared"
"""Marks in a box: the files of the session are in place; and set-up has run to its end too."""
NAMES = "git -c core.quotePath=false diff --no-ext-diff --name-only"
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


class BoxGit(BoxScripts):
    """The repository in the workspace, without the session's work."""

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
