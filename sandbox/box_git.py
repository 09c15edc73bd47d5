"""Git inside a box: the scripts that lay out a repository there and bring work out of it.

All git on what an agent has written runs in the box. Nothing it prints is trusted further than a bundle that
the quarantine checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from shlex import quote
from uuid import uuid4

from sandbox.environments.protocol import SandboxFailed
from sandbox.environments.runner_client import ExecResult, OnOutput, RunnerClient, RunnerError
from session.people import Person

GIT_SECONDS = 300.0
OUT_BUNDLE = ".git/bellhop-out.bundle"
HEAD_REF = "refs/bellhop/head"
CHECKPOINT_REF = "refs/bellhop/checkpoint"
READY_REF = "refs/bellhop/ready"
READ_BYTES = 4 * 1024 * 1024
COMMITTER = {"GIT_COMMITTER_NAME": "Bellhop", "GIT_COMMITTER_EMAIL": "bellhop@users.noreply.bellhop.invalid"}
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
NOTED = ".git/bellhop-noted"


class BoxGit:
    """Git in the box behind `runner`; `inbound` is where the box sees its bundles."""

    def __init__(self, runner: RunnerClient, inbound: str) -> None:
        self._runner = runner
        self._inbound = inbound

    async def is_laid_out(self) -> bool:
        """Whether the repository was laid out in this box before, to the end."""
        done = await self._exec(f"git rev-parse --verify --quiet {READY_REF}")
        return done.exit_code == 0

    async def base_sha(self, branch: str) -> str:
        """The base branch's head as the box knows it; empty when it knows none."""
        known = await self._exec(f"git rev-parse --verify --quiet {quote(f'refs/remotes/origin/{branch}')}")
        return known.output.strip()

    async def fetch_base(self, base_bundle: str) -> None:
        """The base branch as the bundle has it, under `origin/`; nothing is checked out. Raises:
        SandboxFailed."""
        bundle = quote(f"{self._inbound}/{base_bundle}")
        await self._must(
            f"git fetch --quiet --no-tags {bundle} '+refs/heads/*:refs/remotes/origin/*'", "fetching the base"
        )

    async def lay_out(self, branch: str, *, base_bundle: str, base_sha: str) -> None:
        """A clone of the base branch in the workspace, checked out at `base_sha`. Raises: SandboxFailed."""
        bundle = quote(f"{self._inbound}/{base_bundle}")
        await self._must(
            f"git init --quiet -b {quote(branch)} . && "
            f"git fetch --quiet --no-tags {bundle} '+refs/heads/*:refs/remotes/origin/*' && "
            f"{QUIET} checkout --quiet --force -B {quote(branch)} {base_sha}",
            "laying out the repository",
        )

    async def catch_up(self, branch: str, *, base_bundle: str | None, base_sha: str) -> None:
        """A repository that was laid out at an earlier commit, checked out at `base_sha`; files that git does
        not know or ignores stay. base_bundle: what the box lacks of it. Raises: SandboxFailed."""
        fetch = ""
        if base_bundle is not None:
            bundle = quote(f"{self._inbound}/{base_bundle}")
            fetch = f"git fetch --quiet --no-tags {bundle} '+refs/heads/*:refs/remotes/origin/*' && "
        await self._must(
            f"{fetch}git update-ref {quote(f'refs/remotes/origin/{branch}')} {base_sha} && "
            f"{QUIET} checkout --quiet --force -B {quote(branch)} {base_sha}",
            "bringing the repository up to date",
        )

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

    async def repository(self) -> str:
        """Slug of the repository that was laid out here; empty in a new box."""
        known = await self._exec("git config bellhop.repository")
        return known.output.strip()

    async def mark_ready(self, author: Person, slug: str, origin: str) -> None:
        """Whoever commits in the box from here on commits as the author, without what tools leave behind,
        and finds the repository at `origin`; later starts find it laid out. Raises: SandboxFailed."""
        await self._must(
            f"{LEAVE_BEHIND} && "
            f"git config bellhop.repository {quote(slug)} && "
            f"git config remote.origin.url {quote(origin)} && "
            "git config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*' && "
            f"git config user.name {quote(plain(author.name))} && "
            f"git config user.email {quote(plain(author.commit_email))} && "
            f"git update-ref {READY_REF} HEAD",
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
        await self._runner.checkpoint(
            "Checkpoint", author_name=plain(author.name), author_email=plain(author.commit_email)
        )
        origin = quote(f"refs/remotes/origin/{base_branch}")
        await self._must(
            f"git bundle create --quiet {OUT_BUNDLE} {CHECKPOINT_REF} --not {origin}", "saving the workspace"
        )
        return await self._read_bundle()

    async def set_up(self, command: str, number: int, timeout_seconds: float) -> ExecResult:
        """A command of the repository's set-up, by its place in the line: once for each box.

        A worker that takes the box over from one that died waits for what runs there, and does not begin it
        a second time beside it; what ended with the box is begun again. Raises: RunnerError.
        """
        call_id = f"set-up-{number}-{sha256(command.encode()).hexdigest()[:16]}"
        result = await self._runner.exec(call_id, command, timeout_seconds=timeout_seconds)
        return await self.run(command, timeout_seconds) if result.interrupted else result

    async def run(
        self, command: str, timeout_seconds: float, on_output: OnOutput | None = None
    ) -> ExecResult:
        """A command of the repository (set-up, check) in a shell of the box. Raises: RunnerError."""
        return await self._runner.exec(
            f"harness-{uuid4().hex}", command, timeout_seconds=timeout_seconds, on_output=on_output
        )

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
