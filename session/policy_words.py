"""What is wrong with a policy that somebody wrote, in words that say how it is written rightly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from pydantic import BaseModel, ValidationError

from session.policy import PRESETS, Budgets, CommandRule, EgressRule, McpServer, SecretUse

EXAMPLE = "Example:"
_EXAMPLES: dict[str, str] = {
    "approvals": "approvals: {pull_request: ask, merge: ask, command: off, egress: ask, budget: ask}",
    "egress": "egress: [python, {host: api.example.com, methods: [GET], paths: [/v1/*]}]",
    "credential": "credential: {secret: API_KEY, header: Authorization, form: 'Bearer {}'}",
    "deny": "deny: [{command: git push, reason: publishing goes through Bellhop}]",
    "ask": "ask: [{command: terraform apply **, reason: it changes what runs}]",
    "protected_paths": "protected_paths: [/migrations/, '*.sql']",
    "budgets": "budgets: {money_usd: 5, tokens: 2000000, tool_calls: 300, wall_minutes: 90}",
    "secrets": "secrets: [TEST_DATABASE_URL]",
    "services": "services: [{name: redis, image: 'redis:7', ready: redis-cli ping}]",
    "mcp": "mcp: [{name: tracker, url: https://mcp.example.com/mcp, tools: [search]}]",
}
_MODELS: dict[str, type[BaseModel]] = {
    "egress": EgressRule,
    "credential": SecretUse,
    "deny": CommandRule,
    "ask": CommandRule,
    "budgets": Budgets,
    "mcp": McpServer,
}
_PLACES = {
    "preset": "an entry of egress",
    "approvals": "approvals",
    "egress": "a rule of egress",
    "credential": "a credential",
    "deny": "a rule of deny",
    "ask": "a rule of ask",
    "budgets": "budgets",
    "mcp": "a tool server",
    "services": "a service",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, as settings and positions, and a sentence with an example."""

    path: tuple[str | int, ...]
    sentence: str


def first_problem(error: ValidationError, model: type[BaseModel]) -> Problem:
    """The first thing that is wrong in what should have been a `model`."""
    found = error.errors(include_url=False)
    # A misspelt name also leaves the right one missing: the misspelling says more.
    details = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
    path = tuple(details["loc"])
    # Which kind of entry it was taken for is no part of what the person wrote.
    written = tuple(part for part in path if part not in ("preset", "rule"))
    named = [part for part in written if isinstance(part, str)]
    sections = [part for part in named if part in _EXAMPLES]
    words = _words(details["type"], details["msg"], details.get("input"), path, model)
    place = ".".join(str(part) for part in written)
    example = f". {EXAMPLE} {_EXAMPLES[sections[-1]]}" if sections else ""
    return Problem(written, f"{place}: {words.rstrip('.')}{example}")


def _words(
    kind: str, message: str, value: object, path: tuple[str | int, ...], model: type[BaseModel]
) -> str:
    if "preset" in path:
        known = ", ".join(PRESETS)
        return f"there is no preset called {_quoted(value)}; there are {known}, and rules: {{host: …}}"
    match kind:
        case "extra_forbidden":
            where, fields = _section(path[:-1], model)
            return f"is no setting of {where}; known are {', '.join(fields)}"
        case "missing":
            return "is missing"
        case "string_pattern_mismatch":
            return f"{_quoted(value)} is not written as this must be"
        case "value_error":
            return message.removeprefix("Value error, ")
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{_quoted(value)} must be settings with their names: {{name: value}}"
        case _:
            return f"{message.replace('Input should be', 'must be', 1)}, not {_quoted(value)}"


def _section(path: tuple[str | int, ...], model: type[BaseModel]) -> tuple[str, list[str]]:
    """What the setting at `path` is called, and the names of the settings in it."""
    named = [part for part in path if isinstance(part, str) and part in _PLACES]
    if not named:
        return "a repository", list(model.model_fields)
    nested = _MODELS.get(named[-1])
    if nested is None:
        annotation = model.model_fields[named[-1]].annotation
        # Of a list's type, that of its entries.
        parts = [part for part in (annotation, *get_args(annotation)) if isinstance(part, type)]
        nested = next((part for part in parts if issubclass(part, BaseModel)), model)
    return _PLACES[named[-1]], list(nested.model_fields)


def _quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
