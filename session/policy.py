"""A repository's policy: what its boxes may reach, what its agent may run, how much a session may use.

Every rule says which layer enforces it. A `boundary` rule is a guarantee: the door, the quarantine or the
gateway stands between the box and what it forbids. A `parser` rule reads shell commands before they run and
is advisory: code inside the box can always say the same thing in other words.
"""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from session.people import Declared

if TYPE_CHECKING:
    from session.catalogue import Repository

Layer = Literal["boundary", "kernel", "parser"]
Preset = Literal["python", "npm", "debian", "forge"]
PRESETS: tuple[Preset, ...] = ("python", "npm", "debian", "forge")
READING = ("GET", "HEAD")


class SecretUse(Declared):
    """A secret of the vault that the door puts into requests.

    `secret` is its name; the box holds a placeholder of it. `header` is the only place where the placeholder
    is replaced; `form` is the header's value, `{}` standing for the secret.
    """

    secret: str = Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")
    header: str = Field(default="Authorization", pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")
    form: str = "Bearer {}"

    @field_validator("form")
    @classmethod
    def _has_a_place(cls, form: str) -> str:
        if form.count("{}") != 1 or "\n" in form or "\r" in form:
            raise ValueError("must hold {} once, where the secret goes, such as `Bearer {}`")
        return form


class EgressRule(Declared):
    """Requests that the door lets through. Enforced at the boundary.

    `host` is exact, or `*.example.com` for every host below it. `paths` are patterns with `*`, matched
    against the path without its query. `tunnel` lets bytes through unread: no method, path or credential
    then. `max_bytes` caps one response.
    """

    host: str = Field(pattern=r"^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    port: int = Field(default=443, ge=1, le=65535)
    methods: tuple[str, ...] = READING
    paths: tuple[str, ...] = ("*",)
    credential: SecretUse | None = None
    tunnel: bool = False
    max_bytes: int = Field(default=512 * 1024 * 1024, ge=1)

    @field_validator("methods", "paths", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("methods")
    @classmethod
    def _in_capitals(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for method in methods:
            if not re.fullmatch("[A-Z]{1,20}", method) or method == "CONNECT":
                raise ValueError(f"{method!r} is no method; write methods in capitals, such as GET or POST")
        return methods

    @field_validator("paths")
    @classmethod
    def _from_the_root(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if not path.startswith(("/", "*")) or "?" in path:
                raise ValueError(f"{path!r} must begin with / or *, and has no query: /v1/*")
        return paths

    @model_validator(mode="after")
    def _unread_or_ruled(self) -> Self:
        if self.tunnel and (self.methods, self.paths, self.credential) != (READING, ("*",), None):
            raise ValueError("a tunnel is not read, so it cannot have methods, paths or a credential")
        return self


def _kind_of_entry(value: object) -> str:
    return "preset" if isinstance(value, str) else "rule"


EgressEntry = Annotated[
    Annotated[Preset, Tag("preset")] | Annotated[EgressRule, Tag("rule")], Discriminator(_kind_of_entry)
]


class CommandRule(Declared):
    """Shell commands that are refused (`deny`) or asked about (`ask`), by their words.

    `command` is the beginning of a simple command, word by word; `*` in a word stands for any text and a
    trailing `**` for any rest: `git push **`, `terraform apply`. Options may stand anywhere in the command.
    In the catalogue a rule without a reason can be written as its command alone. Enforced by the parser:
    advisory.
    """

    command: str = Field(min_length=1, max_length=200)
    reason: str = Field(default="", max_length=500)
    layer: Literal["parser"] = "parser"

    @model_validator(mode="before")
    @classmethod
    def _command_alone(cls, value: object) -> object:
        return {"command": value} if isinstance(value, str) else value

    @field_validator("command")
    @classmethod
    def _simple(cls, command: str) -> str:
        words = command.split()
        if not words or any(mark in command for mark in "|&;<>()$`\"'\\"):
            raise ValueError(
                "must be the words of one simple command, without quotes or operators: git push **"
            )
        if "**" in words[:-1] or words == ["**"]:
            raise ValueError("** stands for the rest of a command, at its end: git push **")
        return command


class Budgets(Declared):
    """How much one session may use before a person is asked; None: no limit. A yes grants as much again.

    `wall_minutes` counts time in which turns run.
    """

    money_usd: Decimal | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)
    tool_calls: int | None = Field(default=None, gt=0)
    egress_bytes: int | None = Field(default=None, gt=0)
    wall_minutes: int | None = Field(default=None, gt=0)


class McpServer(Declared):
    """A tool server that the broker speaks to for the agent; `tools` are those offered (none named: all)."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    url: str = Field(pattern=r"^https?://[^\s/@]+(/\S*)?$")
    credential: SecretUse | None = None
    tools: tuple[str, ...] = ()


def check_pattern(pattern: str) -> str:
    """The pattern of protected files, if it is one. Raises: ValueError, with how it is written."""
    if not pattern.strip("/ ") or pattern.startswith(("./", "../", "!", "#")):
        raise ValueError(f"{pattern!r} must be a pattern as in CODEOWNERS: /migrations/ or *.sql")
    return pattern


def policy_version(repository: Repository) -> str:
    """Changes whenever the repository's policy does: approvals are bound to it."""
    body = repository.model_dump_json(include=POLICY_FIELDS)
    return hashlib.sha256(body.encode()).hexdigest()[:12]


POLICY_FIELDS = {
    "approvals", "egress", "deny", "ask", "protected_paths", "budgets", "secrets", "mcp", "public",
}  # fmt: skip
"""The fields of a repository that are its policy."""
