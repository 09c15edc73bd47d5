"""A repository's policy in plain text: every rule that is in force, with the layer that enforces it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from session.catalogue import Repository
from session.policy import (
    READING,
    Budgets,
    CommandRule,
    EgressEntry,
    EgressRule,
    Layer,
    SecretUse,
    policy_version,
)

LAYERS: dict[Layer, str] = {
    "boundary": "a guarantee: what it forbids has no way around it",
    "kernel": "a guarantee of the box's kernel",
    "parser": "advisory: it reads what a command says, not what the programs it starts do",
}
_PRESETS = {
    "python": "the Python package index of the box's own configuration, to read",
    "npm": "the npm registry of the box's own configuration, to read",
    "debian": "the Debian archives of the box's own configuration, to read",
    "forge": "the session's own repository: clone, fetch, and push into quarantine",
}
_APPROVALS: dict[str, tuple[Layer, str]] = {
    "plan": (
        "boundary",
        "the worker, before a turn changes anything; what it does then is not held against the plan",
    ),
    "pull_request": ("boundary", "the broker, before a pull request is opened or changed"),
    "merge": ("boundary", "the broker, before a merge"),
    "command": ("parser", "shell commands"),
    "egress": ("boundary", "the door, for hosts that no rule names"),
    "budget": ("boundary", "the broker, when a budget is used up"),
}


def describe(repository: Repository) -> str:
    """The policy, section by section; what is nowhere named says what holds then."""
    sections = [
        _section("Approvals", None, _approvals(repository)),
        _section(
            "Hosts that can be reached", "boundary", _egress(repository.egress), "none: a box reaches nothing"
        ),
        _section("Commands refused", "parser", _commands(repository.deny), "none"),
        _section("Commands asked about", "parser", _commands(repository.ask), "none"),
        _section(
            "Files whose change needs an approval",
            "boundary",
            [*repository.protected_paths, "beside workflows, CODEOWNERS, agents' instructions and the like"],
        ),
        _section("Budgets of a session", "boundary", _budgets(repository.budgets), "none"),
        _section("Secrets that boxes can read", "boundary", repository.secrets, "none"),
        _section("Tool servers", "boundary", _servers(repository), "none"),
        _section("Rule of two", "boundary", [_rule_of_two(repository)]),
    ]
    layers = [f"  {layer}: {meaning}" for layer, meaning in LAYERS.items()]
    head = f"{repository.slug}, policy {policy_version(repository)}"
    return "\n\n".join([head, *sections, "\n".join(["Layers", *layers])])


def _section(title: str, layer: Layer | None, lines: Iterable[str], empty: str = "") -> str:
    head = f"{title} [{layer}]" if layer else title
    return "\n".join([head, *(f"  {line}" for line in list(lines) or [empty])])


def _approvals(repository: Repository) -> Iterator[str]:
    for name, value in repository.approvals.model_dump().items():
        layer, meaning = _APPROVALS[name]
        yield f"{name}: {value} [{layer}] {meaning}"


def _egress(entries: Iterable[EgressEntry]) -> Iterator[str]:
    for entry in entries:
        yield _rule(entry) if isinstance(entry, EgressRule) else f"{entry}: {_PRESETS[entry]}"


def _rule(rule: EgressRule) -> str:
    where = f"{rule.host}:{rule.port}"
    if rule.tunnel:
        return f"{where}: anything, unread (a tunnel)"
    methods = "to read" if rule.methods == READING else ", ".join(rule.methods)
    paths = "" if rule.paths == ("*",) else f", {', '.join(rule.paths)}"
    return f"{where}: {methods}{paths}{_used(rule.credential)}"


def _used(credential: SecretUse | None) -> str:
    return f", with the secret {credential.secret} in {credential.header}" if credential else ""


def _commands(rules: Iterable[CommandRule]) -> Iterator[str]:
    for rule in rules:
        yield f"{rule.command}: {rule.reason}" if rule.reason else rule.command


def _budgets(budgets: Budgets) -> list[str]:
    return [f"{name}: {value}" for name, value in budgets.model_dump().items() if value is not None]


def _servers(repository: Repository) -> Iterator[str]:
    for server in repository.mcp:
        tools = ", ".join(server.tools) or "all tools"
        yield f"{server.name}: {server.url}, {tools}{_used(server.credential)}"


def _rule_of_two(repository: Repository) -> str:
    if repository.public:
        return "off: the repository is public, so there is nothing private to carry out"
    return "after reading what strangers can write, more than a draft needs an approval"
