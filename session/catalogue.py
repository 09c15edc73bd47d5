"""The catalogue of repositories, from `repositories.yaml`."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, field_validator

from session import policy_words
from session.lined_yaml import Lined, Misplaced, read
from session.people import Declared
from session.policy import Budgets, CommandRule, EgressEntry, McpServer, check_pattern

_EXAMPLE = "- {slug: acme/web, forge: github, url: https://github.com/acme/web}"
SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]


class CatalogueError(Exception):
    """The catalogue cannot be read: `file:line: what is wrong`, with an example."""


class UnknownRepository(Exception):
    """No such repository. `sentence` can be shown to people; `near` are slugs that look alike."""

    def __init__(self, slug: str, near: tuple[str, ...]) -> None:
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        self.sentence = f"I do not know a repository called {slug}.{hint}"
        self.near = near
        super().__init__(self.sentence)


class Approvals(Declared):
    """Which effects ask a person first. "auto" goes on without; "off" never does it.

    `command` differs: "ask" asks about every shell command, "off" only about those that the rules in `ask`
    name and those that cannot be held against the rules. `plan`: "ask" holds back all that changes something
    until the turn's plan was approved.
    """

    plan: Literal["off", "ask"] = "off"
    pull_request: Literal["ask", "auto"] = "ask"
    merge: Literal["off", "ask"] = "off"
    command: Literal["off", "ask"] = "off"
    egress: Literal["off", "ask"] = "ask"
    budget: Literal["off", "ask"] = "ask"

    @field_validator("*", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: object) -> object:
        # YAML reads a bare `off` as "false".
        return "off" if value is False else value


class Repository(Declared):
    """A repository Bellhop may work in.

    url: where to clone it; a directory or file URL for forge "local". channels: names or ids of chat channels
    that mean it. setup, verify: shell commands, run in the box. egress: what the box may reach: presets and
    rules. deny, ask: commands refused, or asked about. protected_paths: patterns of files whose change needs
    an approval, beside those that always do. secrets: names of the vault's secrets that boxes may read as
    files. public: its content is no secret, so reading it together with untrusted text asks nothing more.
    image: what its boxes are made from. devcontainer: whether its devcontainer.json is followed.
    engine_builds: whether the engine may build the Dockerfile that is named there, outside the door.
    warm: how many of its boxes wait for sessions; None: as many as the last hour's sessions call for.
    """

    slug: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")
    forge: Literal["local", "github"]
    url: str = Field(min_length=1)
    default_branch: str = "main"
    description: str = ""
    aliases: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    common: bool = False
    image: str = ""
    devcontainer: bool = True
    engine_builds: bool = False
    warm: int | None = Field(default=None, ge=0, le=50)
    setup: tuple[str, ...] = ()
    verify: tuple[str, ...] = ()
    egress: tuple[EgressEntry, ...] = ("forge",)
    approvals: Approvals = Approvals()
    deny: tuple[CommandRule, ...] = ()
    ask: tuple[CommandRule, ...] = ()
    protected_paths: tuple[str, ...] = ()
    budgets: Budgets = Budgets()
    secrets: tuple[SecretName, ...] = ()
    mcp: tuple[McpServer, ...] = ()
    public: bool = False
    archived: bool = False

    @field_validator(
        "aliases", "keywords", "languages", "channels", "setup", "verify", "egress", "deny", "ask",
        "protected_paths", "secrets",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("protected_paths")
    @classmethod
    def _below_the_root(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_pattern(pattern) for pattern in patterns)

    @field_validator("mcp")
    @classmethod
    def _each_name_once(cls, servers: tuple[McpServer, ...]) -> tuple[McpServer, ...]:
        names = [server.name for server in servers]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"there are two servers called {twice}")
        return servers


class Catalogue:
    """The repositories by slug. Raises: ValueError, when a slug or alias is there twice."""

    def __init__(self, repositories: Iterable[Repository] = ()) -> None:
        self.repositories = tuple(repositories)
        self._by_slug: dict[str, Repository] = {}
        for repository in self.repositories:
            if repository.slug.lower() in self._by_slug:
                raise ValueError(f"{repository.slug} is listed twice")
            self._by_slug[repository.slug.lower()] = repository

    @classmethod
    def load(cls, path: Path) -> Self:
        """The catalogue of that file. Raises: CatalogueError."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CatalogueError(
                f"{path}: cannot be read ({error}); it holds lines like {_EXAMPLE}"
            ) from error
        return cls(_parse(path.name, text))

    @property
    def active(self) -> tuple[Repository, ...]:
        """Repositories that are not archived."""
        return tuple(repository for repository in self.repositories if not repository.archived)

    def get(self, slug: str) -> Repository:
        """The repository with that slug (capitals do not matter). Raises: UnknownRepository."""
        found = self._by_slug.get(slug.strip().lower())
        if found is None:
            slugs = [repository.slug for repository in self.active]
            raise UnknownRepository(slug, tuple(get_close_matches(slug, slugs, n=3, cutoff=0.6)))
        return found


def _parse(name: str, text: str) -> list[Repository]:
    try:
        return _repositories(text)
    except Misplaced as error:
        raise _wrong(name, error.line, error.what) from error


def _repositories(text: str) -> list[Repository]:
    content = read(text)
    if content is None:
        return []
    if content.items is None:
        raise Misplaced(content.line, "must be a list of repositories")
    repositories: list[Repository] = []
    lines: dict[str, int] = {}
    for item in content.items:
        repository = _entry(item)
        first = lines.setdefault(repository.slug.lower(), item.line)
        if first != item.line:
            raise Misplaced(item.line, f"{repository.slug} is listed before, on line {first}")
        repositories.append(repository)
    return repositories


def _entry(item: Lined) -> Repository:
    if not item.is_mapping:
        raise Misplaced(item.line, "must be a repository with slug, forge and url")
    values = item.value()
    try:
        return Repository.model_validate(values)
    except ValidationError as error:
        problem = policy_words.first_problem(error, Repository)
        raise Misplaced(item.line_of(problem.path), problem.sentence) from error


def _wrong(name: str, line: int, what: str) -> CatalogueError:
    example = "" if policy_words.EXAMPLE in what else f". {policy_words.EXAMPLE} {_EXAMPLE}"
    return CatalogueError(f"{name}:{line}: {what.rstrip('.')}{example}")
