"""The rules a JSON Schema must keep to be used in strict mode.

Source: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
"""

from __future__ import annotations

from typing import Any

_MAX_DEPTH = 10
_UNSUPPORTED = frozenset(
    {"allOf", "oneOf", "not", "if", "then", "else"}
    | {"dependentRequired", "dependentSchemas", "patternProperties"}
)


class SchemaRefused(Exception):
    """The schema breaks a rule of strict mode."""


def check_strict_schema(schema: dict[str, Any]) -> None:
    """Nothing, if `schema` may be used in strict mode.

    Raises:
        SchemaRefused: the root is no object, an object allows or omits properties, or a keyword is
            not supported.
    """
    if schema.get("type") != "object" or "anyOf" in schema:
        raise SchemaRefused("schema must be of type 'object' at its root, without 'anyOf'.")
    _check(schema, "()", 0)


def _check(schema: object, where: str, depth: int) -> None:
    if not isinstance(schema, dict):
        raise SchemaRefused(f"In context={where}, a schema must be an object.")
    if depth > _MAX_DEPTH:
        raise SchemaRefused(f"In context={where}, nesting is deeper than {_MAX_DEPTH} levels.")
    unsupported = sorted(_UNSUPPORTED & set(schema))
    if unsupported:
        raise SchemaRefused(f"In context={where}, '{unsupported[0]}' is not permitted.")
    if not {"type", "$ref", "anyOf", "enum", "const"} & set(schema):
        raise SchemaRefused(f"In context={where}, schema must have a 'type' key.")
    kinds = schema["type"] if isinstance(schema.get("type"), list) else [schema.get("type")]
    if "object" in kinds:
        _check_object(schema, where, depth)
    if "array" in kinds:
        _check(schema.get("items"), f"{where}.items", depth + 1)
    for index, option in enumerate(schema.get("anyOf", [])):
        _check(option, f"{where}.anyOf[{index}]", depth + 1)
    for name, definition in schema.get("$defs", {}).items():
        _check(definition, f"{where}.$defs.{name}", depth + 1)


def _check_object(schema: dict[str, Any], where: str, depth: int) -> None:
    if schema.get("additionalProperties") is not False:
        raise SchemaRefused(f"In context={where}, 'additionalProperties' must be supplied and be false.")
    properties = schema.get("properties", {})
    missing = sorted(set(properties) - set(schema.get("required", [])))
    if missing:
        raise SchemaRefused(
            f"In context={where}, 'required' must include every key in properties. Missing '{missing[0]}'."
        )
    for name, inner in properties.items():
        _check(inner, f"{where}.{name}", depth + 1)
