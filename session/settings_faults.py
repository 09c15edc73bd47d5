"""What is wrong with settings, in words for whoever set them."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError
from pydantic.fields import FieldInfo


def explained(fields: Mapping[str, FieldInfo], error: ValidationError) -> str:
    """A line for each setting that is wrong: what it must be, what it is for, an example."""
    sentences = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        name = str(problem["loc"][0])
        field = fields[name]
        example = (field.examples or [""])[0]
        sentences.append(
            f"{name.upper()} {_fault(problem['type'], problem['msg'])}. What it says: {field.description}. "
            f"Example: {name.upper()}={example}"
        )
    return "\n".join(sentences)


def _fault(kind: str, message: str) -> str:
    """What is wrong with a value, to follow its name: pydantic's messages speak of inputs and parsing."""
    words = {
        "int_parsing": "must be a whole number",
        "float_parsing": "must be a number",
        "decimal_parsing": "must be a number",
        "bool_parsing": "must be true or false",
        "string_pattern_mismatch": "must be a host and a path, without https://",
    }
    said = message.removeprefix("Value error, ").replace("Input should be ", "must be ")
    return words.get(kind, said)
