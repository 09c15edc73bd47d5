"""A session's work, carried into its box and brought out of it: commits as its people's, and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote

from sandbox.box_scripts import QUIET, BoxScripts
from sandbox.environments.runner_client import RunnerError, RunnerGone
from session.people import Person

HEAD_REF = "refs/bellhop/head"
CHECKPOINT_REF = "refs/bellhop/checkpoint"
OUT_BUNDLE = ".git/bellhop-out.bundle"
READ_BYTES = 4 * 1024 * 1024
COMMITTER = {"GIT_COMMITTER_NAME": "Bellhop", "GIT_COMMITTER_EMAIL": "bellhop@users.noreply.bellhop.invalid"}


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


class BoxWork(BoxScripts):
    """The work in the workspace, whose repository is laid out."""

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

    async def _read_bundle(self) -> bytes:
        parts: list[bytes] = []
        offset = 0
        while True:
            part = await self._runner.read_bytes(OUT_BUNDLE, offset, READ_BYTES)
            parts.append(part.data)
            offset += len(part.data)
            if offset >= part.total_bytes or not part.data:
                return b"".join(parts)
