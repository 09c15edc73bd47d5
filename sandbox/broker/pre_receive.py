"""git's question before a push is taken: every new commit is looked at, and the refs are only the session's.

Runs as a program of its own, started by `git receive-pack` through the hook that `install_hook` writes; what
it says on stderr is what the pusher reads. Source: githooks(5), pre-receive; git-receive-pack(1), quarantine.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from sandbox.broker.box_view import BRANCHES, PREFIX, own_branches
from sandbox.broker.git import GitFailed, GitTimeout, run_git
from sandbox.broker.inspection import Finding, inspect_commits
from sandbox.holds import holds_of, refusal
from session.people import Declared
from session.vocabulary import Hold

HOOK = """#!/bin/sh
exec "$BELLHOP_PYTHON" -P -m sandbox.broker.pre_receive "$BELLHOP_PUSH_RULES" \\
    "$GIT_OBJECT_DIRECTORY" "$GIT_ALTERNATE_OBJECT_DIRECTORIES" "$GIT_QUARANTINE_PATH"
"""
OBJECTS = ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH")
SHOWN_FINDINGS = 20
MAX_SHOWN_CHARACTERS = 300
KEPT = "Kept in quarantine. The forge has none of it yet: it goes out with its pull request, once approved."
REWRITE = "Rewrite these commits (git rebase -i, or git reset --soft): a later commit does not undo them."
BRANCH_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,200}")


class PushRules(Declared):
    """What holds for one push. repository: the bare repository's path; protected: patterns of its policy;
    report: the file in which a push that is refused for what is in it leaves a `PushReport`."""

    session_id: str
    repository: str
    report: str
    protected: tuple[str, ...] = ()
    max_commits: int = Field(ge=1)
    max_file_bytes: int = Field(ge=1)

    def variables(self) -> dict[str, str]:
        """What the hook needs in the environment of `git receive-pack`."""
        return {
            "BELLHOP_PYTHON": sys.executable,
            "BELLHOP_PUSH_RULES": self.model_dump_json(),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }


class PushReport(Declared):
    """What kept a push from being taken, for whoever started git."""

    holds: tuple[Hold, ...]


@dataclass(frozen=True, slots=True)
class Update:
    """One ref as it is to change; a commit of zeros stands for none."""

    old: str
    new: str
    name: str

    @property
    def deletes(self) -> bool:
        """Whether the ref is to go."""
        return not self.new.strip("0")


class PushRefused(Exception):
    """The push is not taken; `sentences` say why and what to do, `holds` what people should hear of it."""

    def __init__(self, sentences: Iterable[str], holds: Iterable[Hold] = ()) -> None:
        self.sentences = tuple(sentences)
        self.holds = tuple(holds)
        super().__init__(" ".join(self.sentences))


def install_hook(directory: Path) -> None:
    """See that git finds the hook in `directory`, which must be ours alone to write.

    Raises: OSError when it cannot be written or started there, since git takes every push without it.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    hook = directory / "pre-receive"
    if not (hook.exists() and hook.read_text() == HOOK and os.access(hook, os.X_OK)):
        part = directory / f".pre-receive.{os.getpid()}"
        part.write_text(HOOK)
        part.chmod(0o755)
        part.replace(hook)
    if not os.access(hook, os.X_OK):
        raise OSError(
            f"programs cannot be started in {directory}; keep BELLHOP_HOME on a disk without noexec"
        )


async def judge(
    updates: Iterable[Update], rules: PushRules, variables: Mapping[str, str]
) -> tuple[Finding, ...]:
    """What the push holds that needs an approval later.

    `variables` tell git where the objects are that came with it. Raises: PushRefused, GitFailed.
    """
    changed = tuple(updates)
    _check_names(changed, rules)
    repository = Path(rules.repository)
    await _check_kinds(repository, changed, variables)
    commits = await _new_commits(repository, changed, rules, variables)
    findings = await inspect_commits(
        repository,
        commits,
        max_file_bytes=rules.max_file_bytes,
        protected=rules.protected,
        variables=variables,
    )
    blocking = [finding for finding in findings if finding.blocking]
    if blocking:
        more = len(blocking) - SHOWN_FINDINGS
        raise PushRefused(
            [
                *map(_refusal, blocking[:SHOWN_FINDINGS]),
                *([f"And {more} more like these."] if more > 0 else []),
                REWRITE,
            ],
            holds_of(blocking),
        )
    return findings


def _check_names(updates: Iterable[Update], rules: PushRules) -> None:
    own = own_branches(rules.session_id)
    mine = own.removeprefix(BRANCHES)
    wrong = []
    for update in updates:
        if not update.name.startswith(own):
            wrong.append(f"{update.name} is not this session's; push to {mine}<name> instead.")
        elif update.deletes:
            wrong.append(f"{update.name} cannot be deleted; push another commit to it instead.")
        elif not BRANCH_NAME.fullmatch(update.name.removeprefix(own)):
            wrong.append(
                f"{update.name} has letters that are not taken; use a-z, 0-9, `.`, `_`, `/` and `-`."
            )
    if wrong:
        raise PushRefused(wrong)


async def _check_kinds(repository: Path, updates: Iterable[Update], variables: Mapping[str, str]) -> None:
    changed = list(updates)
    kinds = await run_git(
        repository, "cat-file", "--batch-check=%(objecttype)",
        stdin="".join(f"{update.new}\n" for update in changed).encode(), variables=variables,
    )  # fmt: skip
    for update, kind in zip(changed, kinds.text.splitlines(), strict=True):
        if kind != "commit":
            raise PushRefused([f"{update.name} must be a commit, not a {kind}."])


async def _new_commits(
    repository: Path, updates: Iterable[Update], rules: PushRules, variables: Mapping[str, str]
) -> tuple[str, ...]:
    """Commits that neither the forge has nor an earlier push brought, oldest first."""
    listed = await run_git(
        repository, "rev-list", "--reverse", "--topo-order", f"--max-count={rules.max_commits + 1}",
        *{update.new for update in updates}, "--not", "--glob=refs/heads/*", f"--glob={PREFIX}refs/heads/*",
        variables=variables,
    )  # fmt: skip
    commits = tuple(listed.text.split())
    if len(commits) > rules.max_commits:
        sentence = f"More than {rules.max_commits} new commits; squash them, or build on the base."
        raise PushRefused(
            [sentence], [refusal("handover", f"A push has {sentence[0].lower()}{sentence[1:]}")]
        )
    return commits


def _refusal(finding: Finding) -> str:
    where = finding.path or "The commit"
    return f"{where} in commit {finding.commit[:12]} must not leave: {finding.detail}."


def _told(sentence: str) -> str:
    plain = "".join(letter if letter.isprintable() else "?" for letter in sentence)
    return f"bellhop: {plain[:MAX_SHOWN_CHARACTERS]}"


async def _answer(lines: Iterable[str], rules: PushRules, variables: Mapping[str, str]) -> int:
    updates = [Update(*line.rstrip("\n").split(" ", 2)) for line in lines]
    try:
        findings = await judge(updates, rules, variables)
    except PushRefused as refused:
        _report(refused, rules)
        _say(refused.sentences)
        return 1
    except GitTimeout:
        _say(["The push took too long to look through; push less at once."])
        return 1
    except GitFailed as failure:
        _say([f"The push could not be looked through, so it is not taken ({failure})."])
        return 1
    paths = sorted({finding.path for finding in findings})
    if paths:
        _say([f"Changes that a person must approve: {', '.join(paths[:SHOWN_FINDINGS])}."])
    _say([KEPT])
    return 0


def _report(refused: PushRefused, rules: PushRules) -> None:
    if refused.holds:
        Path(rules.report).write_text(PushReport(holds=refused.holds).model_dump_json())


def _say(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        sys.stderr.write(f"{_told(sentence)}\n")


def main(arguments: list[str], lines: Iterable[str]) -> int:
    """Exit code: 0 if the push may be taken. `arguments`: the rules, then the values of `OBJECTS`."""
    rules, *places = arguments
    variables = {name: value for name, value in zip(OBJECTS, places, strict=True) if value}
    return asyncio.run(_answer(lines, PushRules.model_validate_json(rules), variables))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin))
