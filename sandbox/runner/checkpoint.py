"""`checkpoint`: the work as it is, as a commit that nothing of the agent's own git state points to."""

from __future__ import annotations

import os

from .arguments import Args, Result, optional_text, text
from .places import Places
from .processes import Processes
from .refusal import Failed, Refused

# Keeps the commit from being swept up, and gives `git bundle` a name for it.
CHECKPOINT_REF = "refs/bellhop/checkpoint"
# Nothing of the repository's own configuration shall run here.
QUIET = ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "commit.gpgSign=false"]
MOST_OUTPUT_BYTES = 1024 * 1024


class Checkpoints:
    """Makes checkpoints of repositories in the workspace."""

    def __init__(self, processes: Processes, places: Places) -> None:
        self._processes = processes
        self._places = places

    async def take(self, args: Args) -> Result:
        """Commit, tree and HEAD. Raises: Refused without a repository, Failed."""
        directory = self._places.directory(optional_text(args, "workdir"))
        author = {
            "GIT_AUTHOR_NAME": text(args, "author_name"),
            "GIT_AUTHOR_EMAIL": text(args, "author_email"),
            "GIT_COMMITTER_NAME": text(args, "author_name"),
            "GIT_COMMITTER_EMAIL": text(args, "author_email"),
        }
        index = os.path.join(self._places.state, f"index-{os.urandom(6).hex()}")
        author["GIT_INDEX_FILE"] = index
        try:
            await self._copy_index(directory, index)
            head = await self._head(directory)
            await self._git(["add", "--all", "--", "."], directory, author)
            tree = await self._git(["write-tree"], directory, author)
            parents = ["-p", head] if head else []
            commit_tree = ["commit-tree", tree, *parents, "-m", text(args, "message")]
            commit = await self._git(commit_tree, directory, author)
            await self._git(["update-ref", CHECKPOINT_REF, commit], directory, author)
        finally:
            for leftover in (index, index + ".lock"):
                if os.path.exists(leftover):
                    os.unlink(leftover)
        return {"commit": commit, "tree": tree, "head": head}

    async def _copy_index(self, directory: str, index: str) -> None:
        """The agent's index as a start: what it knows of unchanged files need not be read again."""
        code, output = await self._processes.output_of(
            ["git", "rev-parse", "--show-toplevel", "--git-path", "index"], directory, {}, MOST_OUTPUT_BYTES
        )
        if code != 0:
            raise Refused(f"{self._places.shown(directory)} is not in a git repository")
        top, own = os.fsdecode(output).splitlines()
        if os.path.realpath(top) != directory:
            raise Refused(f"{self._places.shown(directory)} is not the top of its git repository")
        own = os.path.join(directory, own)
        if os.path.exists(own):
            # As in search: not before it is needed.
            import shutil

            about = os.stat(own)
            shutil.copyfile(own, index)
            # By its time git knows which files may have changed since without showing it: they are read anew.
            os.utime(index, ns=(about.st_atime_ns, about.st_mtime_ns))

    async def _head(self, directory: str) -> str | None:
        command = ["git", "rev-parse", "--quiet", "--verify", "HEAD^{commit}"]
        code, output = await self._processes.output_of(command, directory, {}, MOST_OUTPUT_BYTES)
        return output.decode().strip() if code == 0 else None

    async def _git(self, arguments: list[str], directory: str, env: dict[str, str]) -> str:
        command = ["git", *QUIET, *arguments]
        code, output = await self._processes.output_of(command, directory, env, MOST_OUTPUT_BYTES)
        said = output.decode("utf-8", "replace").strip()
        if code != 0:
            raise Failed(f"git {arguments[0]} failed: {said[-500:]}")
        return said.rpartition("\n")[2]
