"""A server's list of tools as it may be shown: named for the model, without what people cannot see."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mcp_types import Tool

from sandbox.agent.json_value import JsonValue

MAX_TOOLS = 128
MAX_NAME_CHARACTERS = 64
MAX_DESCRIPTION_CHARACTERS = 4000
MAX_SCHEMA_BYTES = 32 * 1024
# Source: Model Context Protocol 2025-11-25, "Tool Names"
TOOL_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_NOT_FOR_MODELS = re.compile(r"[^A-Za-z0-9_-]")
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool as its server describes it now; `digest` is over the description as it came. `reads_only`: the
    server says that it changes nothing."""

    tool: str
    name: str
    description: str
    parameters_json: str
    digest: str
    reads_only: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A server's tools; `problems` are sentences on what was left out."""

    tools: tuple[ListedTool, ...]
    problems: tuple[str, ...] = ()


def read_listing(
    server: str, offered: Iterable[str], tools: Iterable[Tool], hide: Callable[[str], str]
) -> Listing:
    """What is to be made of the server's tools.

    offered: the only ones wanted; none named: all. hide: takes secrets out of a text.
    """
    wanted = frozenset(offered)
    there: set[str] = set()
    listed: dict[str, ListedTool] = {}
    problems: list[str] = []
    for tool in tools:
        if wanted and tool.name not in wanted:
            continue
        there.add(tool.name)
        problem = _problem(tool, listed)
        if problem:
            problems.append(f"A tool of the tool server {server} is left out: {problem}.")
            continue
        listed[tool.name] = _listed(server, tool, hide)
    problems += [f"The tool server {server} has no tool called {name}." for name in sorted(wanted - there)]
    return Listing(tuple(listed.values()), tuple(problems))


def model_name(server: str, tool: str) -> str:
    """The tool's name for the model: at most 64 letters, digits, `_` and `-`, different for each tool."""
    full = prefix(server) + tool
    plain = _NOT_FOR_MODELS.sub("_", full)
    if plain == full and len(full) <= MAX_NAME_CHARACTERS:
        return full
    mark = hashlib.sha256(full.encode()).hexdigest()[:8]
    return f"{plain[: MAX_NAME_CHARACTERS - len(mark) - 1]}_{mark}"


def prefix(server: str) -> str:
    """What the names of a server's tools begin with; no server's is the beginning of another's."""
    return f"mcp__{server}__"


def visible(text: str) -> str:
    """The text without control, format and private characters: what a person reads is all there is."""
    return "".join(letter for letter in text if letter == "\n" or unicodedata.category(letter) not in _UNSEEN)


def _problem(tool: Tool, listed: dict[str, ListedTool]) -> str:
    if not TOOL_NAME.fullmatch(tool.name):
        return "its name has characters that names of tools do not have"
    if tool.name in listed:
        return f"{tool.name} is there twice"
    if len(listed) >= MAX_TOOLS:
        return f"there are more than {MAX_TOOLS}; name those that are wanted in the catalogue"
    if len(_canonical(tool.input_schema).encode()) > MAX_SCHEMA_BYTES:
        return f"the schema of {tool.name} is larger than {MAX_SCHEMA_BYTES // 1024} KB"
    return ""


def _listed(server: str, tool: Tool, hide: Callable[[str], str]) -> ListedTool:
    description = tool.description or ""
    reads_only = tool.annotations is not None and tool.annotations.read_only_hint is True
    told = [tool.name, description, tool.input_schema, reads_only]
    return ListedTool(
        tool=tool.name,
        name=model_name(server, tool.name),
        description=visible(hide(description))[:MAX_DESCRIPTION_CHARACTERS],
        parameters_json=_canonical(_each_text(tool.input_schema, lambda text: visible(hide(text)))),
        digest=hashlib.sha256(_canonical(told).encode()).hexdigest(),
        reads_only=reads_only,
    )


def _each_text(value: JsonValue, clean: Callable[[str], str]) -> JsonValue:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(name): _each_text(each, clean) for name, each in value.items()}
    if isinstance(value, list):
        return [_each_text(each, clean) for each in value]
    return value


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
