"""The local forge: bare repositories on disk, with pull requests kept as records beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from sandbox.broker.git import GitFailed, run_git
from sandbox.forge import branches
from sandbox.forge.branches import Access
from sandbox.forge.local_records import PullRequestRecord, PullRequestRecords
from sandbox.forge.mirrors import Mirrors, checked_slug
from sandbox.forge.protocol import (
    Credential,
    Forge,
    ForgeError,
    ForgeRefused,
    ForgeRepository,
    HeadMoved,
    Mirror,
    Permission,
    PullRequestRef,
)

ACCESS = Access(protocols=("file",))
PERMISSIONS: tuple[Permission, ...] = ("none", "read", "write", "admin")


class LocalForge:
    """Bare git repositories at the paths the catalogue gives as url.

    `people` is a YAML file `{slug or "*": {login: permission}}`; a login it does not name, or everyone when
    it is None, has `default_permission`. `web_url` is where pages about pull requests are served; None gives
    file addresses of the records.
    """

    def __init__(
        self,
        directory: Path,
        *,
        people: Path | None = None,
        default_permission: Permission = "write",
        web_url: str | None = None,
    ) -> None:
        self._mirrors = Mirrors(directory / "mirrors")
        self._records = PullRequestRecords(directory / "pull_requests")
        self._people = people
        self._default_permission = default_permission
        self._web_url = web_url.rstrip("/") if web_url else None

    @property
    def name(self) -> str:
        return "local"

    @property
    def needs_credential(self) -> bool:
        return False

    async def check(self) -> None:
        """Return if git runs here and the people file, where there is one, can be read."""
        try:
            await run_git(None, "version")
        except OSError as error:
            raise ForgeError(f"git cannot be started ({error}); install git on this host.") from error
        self._read_people()

    async def permission(self, repository: ForgeRepository, login: str) -> Permission:
        people = self._read_people()
        for slug in (repository.slug, "*"):
            granted = people.get(slug, {}).get(login)
            if granted is not None:
                return granted
        return self._default_permission

    async def sync_mirror(self, repository: ForgeRepository) -> Mirror:
        return await self._mirrors.sync(repository, config=ACCESS.config, protocols=ACCESS.protocols)

    async def branch_head(self, repository: ForgeRepository, branch: str) -> str | None:
        return await branches.branch_head(repository, branch, ACCESS)

    async def publish(
        self, repository: ForgeRepository, quarantine: Path, sha: str, branch: str, expected: str | None
    ) -> None:
        await branches.publish(repository, quarantine, sha, branch, expected, ACCESS)

    async def find_pull_request(self, repository: ForgeRepository, branch: str) -> PullRequestRef | None:
        record = self._records.find_open(repository.slug, branch)
        return await self._reference(repository, record, adopted=True) if record else None

    async def open_pull_request(
        self,
        repository: ForgeRepository,
        *,
        branch: str,
        base: str,
        title: str,
        body: str,
        draft: bool,
        as_person: Credential | None,
    ) -> PullRequestRef:
        async with self._records.lock(repository.slug):
            if found := await self.find_pull_request(repository, branch):
                return found
            head = await self._required_head(repository, branch)
            if head == await self._required_head(repository, base):
                raise ForgeRefused(
                    f"{branch} of {repository.slug} has no commits that {base} does not have; "
                    "there is nothing to open a pull request for."
                )
            record = self._records.add(
                repository.slug,
                branch=branch,
                base=base,
                title=title,
                body=body,
                state="draft" if draft else "open",
                author=as_person.login if as_person else "bellhop",
                head_sha=head,
            )
            return await self._reference(repository, record, adopted=False)

    async def open_draft(
        self, repository: ForgeRepository, *, branch: str, base: str, title: str, body: str
    ) -> PullRequestRef:
        return await self.open_pull_request(
            repository, branch=branch, base=base, title=title, body=body, draft=True, as_person=None
        )

    async def pull_request(self, repository: ForgeRepository, number: int) -> PullRequestRef:
        return await self._reference(repository, self._record(repository, number), adopted=False)

    async def body(self, repository: ForgeRepository, number: int) -> str:
        """The pull request's description, for those who show it."""
        return self._record(repository, number).body

    async def merge(
        self,
        repository: ForgeRepository,
        number: int,
        head_sha: str,
        *,
        as_person: Credential | None,
        message: str,
    ) -> PullRequestRef:
        async with self._records.lock(repository.slug):
            record = self._record(repository, number)
            current = await self._reference(repository, record, adopted=False)
            if current.head_sha != head_sha:
                raise HeadMoved(
                    f"Pull request #{number} of {repository.slug} is at {current.head_sha[:12]}, not at the "
                    f"approved {head_sha[:12]}; look at the new commits and approve again.",
                    current.head_sha,
                )
            if record.state == "merged":
                return current
            if record.state != "open":
                raise ForgeRefused(
                    f"Pull request #{number} of {repository.slug} is {record.state}; open it before merging."
                )
            login = as_person.login if as_person else "bellhop"
            await self._merge_commit(repository, record, head_sha, login, message)
            merged = replace(record, state="merged", head_sha=head_sha)
            self._records.save(repository.slug, merged)
            return await self._reference(repository, merged, adopted=False)

    def compare_url(self, repository: ForgeRepository, base: str, branch: str) -> str:
        if self._web_url:
            return f"{self._web_url}/{checked_slug(repository.slug)}/compare/{base}...{branch}"
        return f"{Path(repository.url).absolute().as_uri()}#{base}...{branch}"

    async def _merge_commit(
        self, repository: ForgeRepository, record: PullRequestRecord, head: str, login: str, message: str
    ) -> None:
        source = Path(repository.url)
        base = await self._required_head(repository, record.base)
        try:
            if (await run_git(source, "merge-base", head, base, accept=(0, 1))).text == head:
                return  # a crash came between moving the branch and writing the record
            tree = (await run_git(source, "merge-tree", "--write-tree", base, head)).text
            commit = await run_git(
                source,
                "commit-tree",
                tree,
                "-p",
                base,
                "-p",
                head,
                stdin=message.encode(),
                variables=_identity(login),
            )
            await run_git(source, "update-ref", f"refs/heads/{record.base}", commit.text, base)
        except GitFailed as failure:
            raise ForgeRefused(
                f"Pull request #{record.number} of {repository.slug} cannot be merged into {record.base}: it "
                "conflicts, or the branch just moved. Bring the branch up to date and approve again."
            ) from failure

    async def _required_head(self, repository: ForgeRepository, branch: str) -> str:
        head = await self.branch_head(repository, branch)
        if head is None:
            raise ForgeRefused(f"{repository.slug} has no branch {branch}; publish it first.")
        return head

    def _record(self, repository: ForgeRepository, number: int) -> PullRequestRecord:
        record = self._records.get(repository.slug, number)
        if record is None:
            raise ForgeRefused(f"{repository.slug} has no pull request #{number}; check the number.", 404)
        return record

    async def _reference(
        self, repository: ForgeRepository, record: PullRequestRecord, *, adopted: bool
    ) -> PullRequestRef:
        settled = record.state in ("merged", "closed")
        live = None if settled else await self.branch_head(repository, record.branch)
        return PullRequestRef(
            number=record.number,
            url=self._url(repository, record.number),
            branch=record.branch,
            base=record.base,
            head_sha=live or record.head_sha,
            title=record.title,
            state=record.state,
            author=record.author,
            adopted=adopted,
        )

    def _url(self, repository: ForgeRepository, number: int) -> str:
        if self._web_url:
            return f"{self._web_url}/{checked_slug(repository.slug)}/pull/{number}"
        return self._records.path(repository.slug, number).absolute().as_uri()

    def _read_people(self) -> dict[str, dict[str, Permission]]:
        if self._people is None:
            return {}
        try:
            content = yaml.safe_load(self._people.read_text()) or {}
            return {
                slug: {str(who): _granted(what) for who, what in row.items()} for slug, row in content.items()
            }
        except (OSError, yaml.YAMLError, AttributeError, ValueError) as error:
            raise ForgeError(
                f"The people file {self._people} cannot be used ({error}). "
                'It holds lines like: acme/billing: {ada: write} or "*": {grace: admin}.'
            ) from error


def _granted(value: object) -> Permission:
    for permission in PERMISSIONS:
        if value == permission:
            return permission
    raise ValueError(f"{value!r} is not one of {', '.join(PERMISSIONS)}")


def _identity(login: str) -> dict[str, str]:
    return {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", login), ("EMAIL", f"{login}@users.noreply.bellhop.local"))
    }


def build(*, directory: Path, settings: Mapping[str, str]) -> Forge:
    """The local forge under `directory`; settings: `LOCAL_FORGE_PEOPLE` (a file), `LOCAL_FORGE_WEB_URL`."""
    people = settings.get("LOCAL_FORGE_PEOPLE")
    return LocalForge(
        directory / "local",
        people=Path(people) if people else None,
        web_url=settings.get("LOCAL_FORGE_WEB_URL") or None,
    )
