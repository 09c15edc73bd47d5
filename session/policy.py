"""A repository's policy: what its boxes may reach, what its agent may run, how much a session may use.

Every rule says which layer enforces it. A `boundary` rule is a guarantee: the door, the quarantine or the
gateway stands between the box and what it forbids. A `parser` rule reads shell commands before they run and
is advisory: code inside the box can always say the same thing in other words.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from pydantic import Field

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
    header: str = Field("Authorization", pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")
    form: str = "Bearer {}"


class EgressRule(Declared):
    """Requests that the door lets through. Enforced at the boundary.

    `host` is exact, or `*.example.com` for every host below it. `paths` are patterns with `*`, matched
    against the path without its query. `tunnel` lets bytes through unread: no method, path or credential
    then. `max_bytes` caps one response.
    """

    host: str = Field(pattern=r"^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    port: int = Field(443, ge=1, le=65535)
    methods: tuple[str, ...] = READING
    paths: tuple[str, ...] = ("*",)
    credential: SecretUse | None = None
    tunnel: bool = False
    max_bytes: int = Field(512 * 1024 * 1024, ge=1)


EgressEntry = Preset | EgressRule


class CommandRule(Declared):
    """Shell commands that are refused (`deny`) or asked about (`ask`), by their words.

    `command` is the beginning of a simple command, word by word; `*` stands for any one word and a trailing
    `**` for any rest: `git push **`, `terraform apply`. Enforced by the parser: advisory.
    """

    command: str = Field(min_length=1, max_length=200)
    reason: str = ""
    layer: Layer = "parser"


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
    url: str = Field(min_length=1)
    credential: SecretUse | None = None
    tools: tuple[str, ...] = ()


def policy_version(repository: Repository) -> str:
    """Changes whenever the repository's policy does: approvals are bound to it."""
    body = repository.model_dump_json(include=POLICY_FIELDS)
    return hashlib.sha256(body.encode()).hexdigest()[:12]


POLICY_FIELDS = {
    "approvals", "egress", "deny", "ask", "protected_paths", "budgets", "secrets", "mcp", "public",
}  # fmt: skip
"""The fields of a repository that are its policy."""
