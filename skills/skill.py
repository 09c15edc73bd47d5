"""One skill: how a SKILL.md file is read, and what is wrong with it when it cannot be."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

SKILL_FILE = "SKILL.md"
MAX_DESCRIPTION_CHARACTERS = 1024
MAX_BODY_BYTES = 100_000
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MAX_NAME_CHARACTERS = 64
FENCE = "---"


class MalformedSkill(Exception):
    """A SKILL.md that cannot be used; the message is `file:line: what is wrong`."""

    def __init__(self, path: str, line: int, what: str) -> None:
        super().__init__(f"{path}:{line}: {what}")
        self.path = path
        self.line = line


@dataclass(frozen=True, slots=True)
class Skill:
    """A skill that can be offered to the agent.

    `source` names where it came from (`repository`, `organisation`, `built in`), `path` its SKILL.md there.
    `files` holds its supporting files by path relative to the skill's folder. `digest` is the SHA-256 of all
    of it, in hex.
    """

    name: str
    description: str
    body: str
    source: str
    path: str
    files: Mapping[str, bytes]
    digest: str


def read_skill(source: str, path: str, content: bytes, files: Mapping[str, bytes]) -> Skill:
    """The skill written in `content`, the SKILL.md at `path` whose folder carries the skill's name.

    Raises: MalformedSkill, naming file and line.
    Source: https://agentskills.io/specification
    """
    try:
        text = content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MalformedSkill(path, line, "is not UTF-8 text; save it as UTF-8") from error
    front, body = _split(path, text)
    fields = _front_matter(path, front)
    name = _field(path, front, fields, "name")
    if not NAME.fullmatch(name) or len(name) > MAX_NAME_CHARACTERS:
        line = _line_of(front, "name")
        raise MalformedSkill(path, line, f"name {name!r} must be small letters, digits and single hyphens")
    folder = path.split("/")[-2] if "/" in path else name
    if folder != name:
        line = _line_of(front, "name")
        raise MalformedSkill(path, line, f"name {name!r} must be that of its folder, {folder!r}")
    description = " ".join(_field(path, front, fields, "description").split())
    if len(description) > MAX_DESCRIPTION_CHARACTERS:
        line = _line_of(front, "description")
        raise MalformedSkill(
            path, line, f"description is longer than {MAX_DESCRIPTION_CHARACTERS} characters"
        )
    if not body.strip():
        raise MalformedSkill(path, front.count("\n") + 3, "there are no instructions below the front matter")
    if len(body.encode()) > MAX_BODY_BYTES:
        raise MalformedSkill(path, 1, f"is larger than {MAX_BODY_BYTES} bytes; move parts to other files")
    return Skill(name, description, body.strip() + "\n", source, path, files, _digest(content, files))


def _split(path: str, text: str) -> tuple[str, str]:
    lines = text.removeprefix("\ufeff").split("\n")
    if lines[0].rstrip() != FENCE:
        raise MalformedSkill(path, 1, f"must begin with a line {FENCE} and the fields name and description")
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == FENCE:
            return "\n".join(lines[1:number]), "\n".join(lines[number + 1 :])
    raise MalformedSkill(path, len(lines), f"the front matter is not closed by a line {FENCE}")


def _front_matter(path: str, front: str) -> Mapping[object, object]:
    try:
        fields = yaml.safe_load(front)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 2 if mark is not None else 2
        raise MalformedSkill(path, line, f"the front matter is not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise MalformedSkill(path, 2, f"the front matter is not YAML: {error}") from error
    if not isinstance(fields, dict):
        raise MalformedSkill(path, 2, "the front matter must be fields, such as `name: fix-failing-test`")
    return fields


def _field(path: str, front: str, fields: Mapping[object, object], key: str) -> str:
    value = fields.get(key)
    if value is None:
        raise MalformedSkill(path, 2, f"the front matter has no {key}")
    if not isinstance(value, str) or not value.strip():
        raise MalformedSkill(path, _line_of(front, key), f"{key} must be text")
    return value.strip()


def _line_of(front: str, key: str) -> int:
    lines = front.split("\n")
    return next((number for number, line in enumerate(lines, start=2) if line.startswith(f"{key}:")), 2)


def _digest(content: bytes, files: Mapping[str, bytes]) -> str:
    total = hashlib.sha256(hashlib.sha256(content).digest())
    for name in sorted(files):
        total.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(files[name]).digest())
    return total.hexdigest()
