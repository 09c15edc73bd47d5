"""The scenes that the rehearsal model can play, read from `scenes.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter

SCENES_FILE = Path(__file__).with_name("scenes.yaml")


class Step(BaseModel):
    """One reply of the model: words (`say`) and tool calls (`do`, each a tool with its arguments)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    say: str = ""
    do: tuple[Mapping[str, JsonValue], ...]

    @property
    def calls(self) -> tuple[tuple[str, JsonValue], ...]:
        """The tool calls in their order, each with its arguments."""
        return tuple(pair for call in self.do for pair in call.items())


class Scene(BaseModel):
    """A recorded piece of work. `pattern` recognises the request, `example` is a way to put it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    example: str
    pattern: str
    steps: tuple[Step, ...]

    def asked_by(self, text: str) -> bool:
        """Whether `text` asks for this scene."""
        return re.search(self.pattern, text, re.IGNORECASE | re.DOTALL) is not None


def load_scenes(path: Path = SCENES_FILE) -> tuple[Scene, ...]:
    """The scenes in their order."""
    return TypeAdapter(tuple[Scene, ...]).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
