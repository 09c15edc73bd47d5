"""What a box sees of its session's quarantine: a namespace of refs, apart from those that count as seen.

A push changes the namespace alone. What is known of the forge, and what the harness took over, is neither
shown to the box nor can it be changed by it.

Source: gitnamespaces(7).
"""

from __future__ import annotations

from sandbox.broker.git import run_git
from sandbox.broker.git_objects import kinds_of
from sandbox.broker.quarantine import Quarantine, change_references, references

NAMESPACE = "box"
PREFIX = f"refs/namespaces/{NAMESPACE}/"
BRANCHES = "refs/heads/"
SESSIONS = "refs/heads/bellhop"


def own_branches(session_id: str) -> str:
    """The prefix of the refs that a session may push."""
    return f"{SESSIONS}/{session_id}/"


class BoxView:
    """The refs that one session's box is shown."""

    def __init__(self, quarantine: Quarantine, session_id: str) -> None:
        self._quarantine = quarantine
        self._path = quarantine.path
        self._own = own_branches(session_id)

    async def follow(self, default_branch: str) -> None:
        """Show the forge's branches and tags as the quarantine has them; of `bellhop/*` the session's alone.

        The session's own branches move forward only: what its box pushed stays until the forge is beyond it.
        """
        async with self._quarantine.writing():
            forge = await references(self._path, BRANCHES, "refs/tags/")
            shown = await self.references()
            shared = {name: sha for name, sha in forge.items() if not _of_sessions(name)}
            gone = [name for name in shown if name not in shared and not name.startswith(self._own)]
            changed = {name: sha for name, sha in shared.items() if shown.get(name) != sha}
            await change_references(
                self._path,
                {PREFIX + name: sha for name, sha in changed.items()},
                [PREFIX + name for name in gone],
            )
            for name in filter(lambda name: name.startswith(self._own), forge):
                await self._forward(name, shown.get(name), forge[name])
            await run_git(self._path, "symbolic-ref", f"{PREFIX}HEAD", f"{PREFIX}{BRANCHES}{default_branch}")

    async def references(self) -> dict[str, str]:
        """What the box is shown, by the names it sees."""
        listed = await references(self._path, PREFIX)
        names = ((name.removeprefix(PREFIX), sha) for name, sha in listed.items())
        return {name: sha for name, sha in names if name.startswith("refs/")}

    async def reaches(self, wanted: set[str]) -> bool:
        """Whether each of the objects is shown, or a commit in the history of what is."""
        hidden = wanted - set((await self.references()).values())
        if not hidden:
            return True
        if set(await kinds_of(self._path, [*hidden])) != {"commit"}:
            return False
        beyond = await run_git(self._path, "rev-list", "--max-count=1", *hidden, "--not", f"--glob={PREFIX}*")
        return not beyond.text

    async def _forward(self, name: str, shown: str | None, sha: str) -> None:
        if shown == sha:
            return
        if shown is not None:
            ahead = await run_git(self._path, "merge-base", "--is-ancestor", shown, sha, accept=(0, 1))
            if not ahead.succeeded:
                return
        # The box may be pushing to it right now, or have a branch in its way: then its own stays.
        await run_git(
            self._path, "update-ref", PREFIX + name, sha, shown or "0" * len(sha), accept=(0, 1, 128)
        )


def _of_sessions(name: str) -> bool:
    return name == SESSIONS or name.startswith(f"{SESSIONS}/")
