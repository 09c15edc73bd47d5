"""What a repository says of itself, read from the host's mirror at the base commit.

Never from a workspace: an agent's own change must not decide which checks it has to pass, or what it is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.agent.instructions import INSTRUCTION_FILE, FolderInstructions
from sandbox.broker.git import run_git
from sandbox.broker.git_objects import read_objects
from sandbox.environments.service import WantedServices
from sandbox.forge.protocol import ForgeRepository, Mirror
from sandbox.images.compose_file import compose_services
from sandbox.policy.commands import CommandRules
from sandbox.policy.own_config import RepositoryConfig, read_config
from session.catalogue import Repository
from session.lined_yaml import Misplaced
from skills.library import REPOSITORY_FOLDERS, SkillSource

CONFIG_FILE = ".bellhop/config.yaml"
MAX_INSTRUCTION_FILES = 100
MAX_SKILL_FILES = 200
MAX_FILE_BYTES = 256 * 1024
NO_SERVICES = WantedServices()


class BadBase(Exception):
    """The base cannot be worked from: its branch is missing or the repository's configuration malformed."""


@dataclass(frozen=True, slots=True)
class BaseCommit:
    """Where a session's work starts from, and what holds there.

    `setup` and `verify` come from the catalogue, else from the repository's own configuration. `skills` has
    one source for each folder the repository keeps skills in. `rules` and `protected_paths` are those of the
    catalogue and the repository's own, which can only add to them; `repository` is the catalogue's alone.
    `services` are those of the repository's own configuration, else those beside its devcontainer. `files`
    are the paths of all its files.
    """

    repository: Repository
    forge_repository: ForgeRepository
    mirror: Path
    branch: str
    sha: str
    setup: tuple[str, ...]
    verify: tuple[str, ...]
    instructions: FolderInstructions
    skills: tuple[SkillSource, ...]
    rules: CommandRules
    protected_paths: tuple[str, ...]
    files: frozenset[str] = field(repr=False)
    services: WantedServices = NO_SERVICES


async def read_base(repository: Repository, mirror: Mirror, branch: str) -> BaseCommit:
    """The head of `branch` in the mirror, and what the repository says there.

    Raises: BadBase, with what to correct.
    """
    known = mirror.head_sha if branch == repository.default_branch else ""
    sha = known or await _head(repository, mirror.path, branch)
    paths = await _paths(mirror.path, sha)
    files = frozenset(paths)
    config = await _config(mirror.path, sha, files)
    return BaseCommit(
        repository=repository,
        forge_repository=ForgeRepository(repository.slug, repository.url, repository.default_branch),
        mirror=mirror.path,
        branch=branch,
        sha=sha,
        setup=repository.setup or config.setup,
        verify=repository.verify or config.verify,
        instructions=await _instructions(mirror.path, sha, paths),
        rules=CommandRules(
            deny=(*repository.deny, *config.deny),
            ask=(*repository.ask, *config.ask),
            always=repository.approvals.command == "ask",
        ),
        protected_paths=(*repository.protected_paths, *config.protected_paths),
        skills=tuple([await _skills(mirror.path, sha, paths, folder) for folder in REPOSITORY_FOLDERS]),
        files=files,
        services=await _services(repository, config, mirror.path, sha, files),
    )


async def file_at(base: BaseCommit, path: str) -> str | None:
    """The text of that file at the base commit, cut at 256 KiB; None when there is none."""
    if path not in base.files:
        return None
    return (await _read(base.mirror, base.sha, path)).decode("utf-8", "replace")


async def _head(repository: Repository, mirror: Path, branch: str) -> str:
    found = await run_git(
        mirror, "rev-parse", "--verify", "--quiet", "--end-of-options", f"refs/heads/{branch}^{{commit}}",
        accept=(0, 1, 128),
    )  # fmt: skip
    if not found.text:
        raise BadBase(f"{repository.slug} has no branch {branch}; name one that exists, or leave it out.")
    return found.text


async def _paths(mirror: Path, sha: str) -> list[str]:
    """All files, without submodules, which have no content here."""
    listed = await run_git(mirror, "ls-tree", "-r", "-z", sha)
    lines = listed.stdout.decode("utf-8", "surrogateescape").split("\0")
    entries = (line.partition("\t") for line in lines)
    return [path for kind, _, path in entries if " blob " in kind]


async def _config(mirror: Path, sha: str, files: frozenset[str]) -> RepositoryConfig:
    if CONFIG_FILE not in files:
        return RepositoryConfig()
    content = await _read(mirror, sha, CONFIG_FILE)
    try:
        return read_config(content.decode("utf-8", "replace"))
    except Misplaced as error:
        raise BadBase(f"{CONFIG_FILE}:{error.line} of the repository is wrong: {error.what}") from error


async def _services(
    repository: Repository, config: RepositoryConfig, mirror: Path, sha: str, files: frozenset[str]
) -> WantedServices:
    if config.services:
        return WantedServices(tuple(service.wanted() for service in config.services))
    if not repository.devcontainer:
        return NO_SERVICES

    async def read_file(path: str) -> str | None:
        return (await _read(mirror, sha, path)).decode("utf-8", "replace") if path in files else None

    return await compose_services(read_file)


async def _instructions(mirror: Path, sha: str, paths: list[str]) -> FolderInstructions:
    found = [path for path in paths if path == INSTRUCTION_FILE or path.endswith(f"/{INSTRUCTION_FILE}")]
    nearest = sorted(found, key=lambda path: path.count("/"))[:MAX_INSTRUCTION_FILES]
    texts = await _read_all(mirror, sha, nearest)
    return FolderInstructions(
        {path.rpartition("/")[0]: text.decode("utf-8", "replace") for path, text in texts.items()}
    )


async def _skills(mirror: Path, sha: str, paths: list[str], folder: str) -> SkillSource:
    prefix = f"{folder}/"
    found = [path for path in paths if path.startswith(prefix)][:MAX_SKILL_FILES]
    contents = await _read_all(mirror, sha, found)
    files: Mapping[str, bytes] = {path.removeprefix(prefix): content for path, content in contents.items()}
    return SkillSource("repository", files, prefix)


async def _read_all(mirror: Path, sha: str, paths: list[str]) -> dict[str, bytes]:
    """The files, each cut at 256 KiB, mostly from one run of git."""
    listed = {f"{sha}:{path}": path for path in paths if "\n" not in path}
    found = {listed[name]: content for name, content in (await read_objects(mirror, [*listed])).items()}
    return {
        path: found[path][:MAX_FILE_BYTES] if path in found else await _read(mirror, sha, path)
        for path in paths
    }


async def _read(mirror: Path, sha: str, path: str) -> bytes:
    shown = await run_git(
        mirror, "cat-file", "blob", f"{sha}:{path}", max_output_bytes=MAX_FILE_BYTES, truncate=True
    )
    return shown.stdout
