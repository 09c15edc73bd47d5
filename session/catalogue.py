"""The catalogue of repositories, from `repositories.yaml`."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator

from session.people import Declared
from session.policy import Budgets, CommandRule, EgressEntry, McpServer

_EXAMPLE = "- {slug: acme/web, forge: github, url: https://github.com/acme/web}"


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
    """Which effects ask a person first. "auto" goes on without; "off" never does it."""

    plan: Literal["off", "ask"] = "off"
    pull_request: Literal["ask", "auto"] = "ask"
    merge: Literal["off", "ask"] = "off"
    command: Literal["off", "ask"] = "off"
    egress: Literal["off", "ask"] = "ask"
    budget: Literal["off", "ask"] = "ask"


class Repository(Declared):
    """A repository Bellhop may work in.

    url: where to clone it; a directory or file URL for forge "local". channels: names or ids of chat channels
    that mean it. setup, verify: shell commands, run in the box. egress: what the box may reach: presets and
    rules. deny, ask: commands refused, or asked about. protected_paths: patterns of files whose change needs
    an approval, beside those that always do. secrets: names of the vault's secrets that boxes may read as
    files. public: its content is no secret, so reading it together with untrusted text asks nothing more.
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
    setup: tuple[str, ...] = ()
    verify: tuple[str, ...] = ()
    egress: tuple[EgressEntry, ...] = ()
    approvals: Approvals = Approvals()
    deny: tuple[CommandRule, ...] = ()
    ask: tuple[CommandRule, ...] = ()
    protected_paths: tuple[str, ...] = ()
    budgets: Budgets = Budgets()
    secrets: tuple[str, ...] = ()
    mcp: tuple[McpServer, ...] = ()
    public: bool = False
    archived: bool = False

    @field_validator(
        "aliases", "keywords", "languages", "channels", "setup", "verify", "egress", mode="before"
    )
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


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
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _wrong(name, mark.line if mark else 0, error.problem or "is not YAML") from error
    except yaml.YAMLError as error:
        raise _wrong(name, 0, str(error)) from error
    if root is None:
        return []
    if not isinstance(root, yaml.SequenceNode):
        raise _wrong(name, root.start_mark.line, "must be a list of repositories")
    repositories: list[Repository] = []
    lines: dict[str, int] = {}
    for node in root.value:
        repository = _entry(name, node)
        line = node.start_mark.line
        first = lines.setdefault(repository.slug.lower(), line)
        if first != line:
            raise _wrong(name, line, f"{repository.slug} is listed before, on line {first + 1}")
        repositories.append(repository)
    return repositories


def _entry(name: str, node: yaml.Node) -> Repository:
    if not isinstance(node, yaml.MappingNode):
        raise _wrong(name, node.start_mark.line, "must be a repository with slug, forge and url")
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _wrong(name, key.start_mark.line, "a setting's name must be plain text")
        if key.value in lines:
            raise _wrong(name, key.start_mark.line, f"{key.value!r} is there twice")
        lines[key.value] = key.start_mark.line
    loader = yaml.SafeLoader("")
    try:
        values = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or node.start_mark
        raise _wrong(name, mark.line, error.problem or "cannot be read") from error
    finally:
        loader.dispose()
    try:
        return Repository.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in problem["loc"])
        line = lines.get(str(problem["loc"][0]), node.start_mark.line)
        raise _wrong(name, line, f"{path}: {_words(problem['type'], problem['msg'])}") from error


def _words(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return f"is no setting of a repository; known are {', '.join(Repository.model_fields)}"
    if kind == "missing":
        return "is missing"
    return message


def _wrong(name: str, line: int, what: str) -> CatalogueError:
    return CatalogueError(f"{name}:{line + 1}: {what}. Example: {_EXAMPLE}")
