"""GitHub's own OpenAPI description, cut down to what the emulator serves, and checks against it.

The description is the npm package `@octokit/openapi`. It is installed once under `.cache/`, and the part that
is needed is kept beside it, since the whole is 13 MB.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator
from openapi_schema_validator import OAS30Validator

from tests.emulators.npm_packages import installed

CACHE = Path(__file__).resolve().parents[3] / ".cache"
PACKAGE = "@octokit/openapi"
PACKAGE_VERSION = "23"
# Answers GitHub gives on every endpoint without describing them for each.
ANYWHERE = frozenset({401, 403, 404, 429})
REFERENCE_PREFIX = "#/components/"

Json = Any
Operation = tuple[str, str]


def installed_description() -> Path:
    """The description's file, installed by npm if it is not there yet."""
    (description,) = installed("octokit", PACKAGE, PACKAGE_VERSION, ["generated/api.github.com.json"])
    return description


class Description:
    """The operations named, with all they refer to."""

    def __init__(self, operations: Iterable[Operation], webhooks: Iterable[str]) -> None:
        part = _part(sorted(set(operations)), sorted(set(webhooks)))
        self._operations: dict[str, Json] = part["operations"]
        self._webhooks: dict[str, Json] = part["webhooks"]
        self._components: Json = part["components"]
        self._validators: dict[str, Validator] = {}

    def request_faults(
        self, method: str, template: str, path: Mapping[str, str], query: Mapping[str, str], body: Json
    ) -> list[str]:
        """What in the request GitHub's description does not allow. `body` is None when there is none."""
        operation = self._operations[f"{method} {template}"]
        parameters = [self._resolved(parameter) for parameter in operation.get("parameters", [])]
        faults = []
        for place, values in (("path", path), ("query", query)):
            known = {parameter["name"]: parameter for parameter in parameters if parameter["in"] == place}
            faults += [f"unknown {place} parameter {name}" for name in values if name not in known]
            faults += self._parameter_faults(place, known, values)
        return faults + self._body_faults(operation, body)

    def response_faults(self, method: str, template: str, status: int, body: Json) -> list[str]:
        """What in the emulator's own answer GitHub's description does not allow."""
        answers = self._operations[f"{method} {template}"]["responses"]
        if str(status) not in answers:
            undescribed = status in ANYWHERE or status >= 500
            return [] if undescribed else [f"{status} is not an answer of this endpoint"]
        content = self._resolved(answers[str(status)]).get("content", {}).get("application/json")
        return self._schema_faults("answer", content["schema"], body) if content else []

    def webhook_faults(self, name: str, payload: Json) -> list[str]:
        """What in a webhook's payload GitHub's description does not allow."""
        content = self._webhooks[name]["requestBody"]["content"]["application/json"]
        return self._schema_faults(f"webhook {name}", content["schema"], payload)

    def _parameter_faults(
        self, place: str, known: Mapping[str, Json], values: Mapping[str, str]
    ) -> list[str]:
        faults = []
        for name, parameter in known.items():
            if name in values:
                value = _coerced(parameter["schema"], values[name])
                faults += self._schema_faults(f"{place} parameter {name}", parameter["schema"], value)
            elif parameter.get("required"):
                faults.append(f"{place} parameter {name} is missing")
        return faults

    def _body_faults(self, operation: Json, body: Json) -> list[str]:
        declared = operation.get("requestBody")
        if declared is None:
            return ["this endpoint takes no body"] if body else []
        if body is None:
            return ["the body is missing"] if declared.get("required") else []
        schema = declared["content"]["application/json"]["schema"]
        known = self._resolved(schema).get("properties")
        unknown = [name for name in body if name not in known] if known and isinstance(body, dict) else []
        return [f"unknown field {name} in the body" for name in unknown] + self._schema_faults(
            "body", schema, body
        )

    def _resolved(self, item: Json) -> Json:
        while "$ref" in item:
            kind, name = item["$ref"].removeprefix(REFERENCE_PREFIX).split("/", 1)
            item = self._components[kind][name]
        return item

    def _schema_faults(self, what: str, schema: Json, value: Json) -> list[str]:
        error = best_match(self._validator(schema).iter_errors(value))
        return [f"{what}: {error.json_path}: {error.message[:300]}"] if error else []

    def _validator(self, schema: Json) -> Validator:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            document = {"allOf": [schema], "components": self._components}
            self._validators[key] = OAS30Validator(document, format_checker=self._formats)
        return self._validators[key]

    @cached_property
    def _formats(self) -> Any:
        return OAS30Validator.FORMAT_CHECKER


def match(template: str, path: str) -> dict[str, str] | None:
    """The path parameters, decoded, if the path fits the template; `ref` may hold slashes."""
    pattern = re.sub(
        r"\\\{(\w+)\\\}",
        lambda found: f"(?P<{found[1]}>{'.+' if found[1] == 'ref' else '[^/]+'})",
        re.escape(template),
    )
    found = re.fullmatch(pattern, path)
    return {name: unquote(value) for name, value in found.groupdict().items()} if found else None


def _coerced(schema: Json, value: str) -> Json:
    if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", value):
        return int(value)
    if schema.get("type") == "boolean" and value in ("true", "false"):
        return value == "true"
    return value


def _part(operations: list[Operation], webhooks: list[str]) -> Json:
    wanted = json.dumps([PACKAGE_VERSION, operations, webhooks])
    kept = CACHE / f"octokit-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}.json"
    if not kept.exists():
        part = _cut(json.loads(installed_description().read_text()), operations, webhooks)
        draft = kept.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(part))
        draft.replace(kept)
    return json.loads(kept.read_text())


def _cut(whole: Json, operations: list[Operation], webhooks: list[str]) -> Json:
    chosen = {f"{method} {path}": whole["paths"][path][method.lower()] for method, path in operations}
    told = {name: whole["x-webhooks"][name]["post"] for name in webhooks}
    components: dict[str, dict[str, Json]] = {}
    waiting = [*_references(chosen), *_references(told)]
    while waiting:
        kind, name = waiting.pop().removeprefix(REFERENCE_PREFIX).split("/", 1)
        if kind == "examples" or name in components.setdefault(kind, {}):
            continue
        components[kind][name] = whole["components"][kind][name]
        waiting += _references(components[kind][name])
    return {"operations": chosen, "webhooks": told, "components": components}


def _references(item: Json) -> list[str]:
    if isinstance(item, list):
        return [reference for part in item for reference in _references(part)]
    if not isinstance(item, dict):
        return []
    own = [item["$ref"]] if isinstance(item.get("$ref"), str) else []
    return own + [reference for part in item.values() for reference in _references(part)]
