"""A service as a repository names it in its own `.bellhop/config.yaml`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from pydantic import Field, field_validator, model_validator

from sandbox.environments.service import (
    MOST_READY_SECONDS,
    READY_SECONDS,
    BoxProgram,
    ServiceSpec,
    bad_name,
)
from session.people import Declared

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


class ServiceConfig(Declared):
    """With `image` a container beside the box, whose own command `command` replaces; without it a program of
    the box, which `command` starts. `ready` is a shell command that succeeds once the service answers."""

    name: str
    image: str = ""
    command: str = ""
    env: Mapping[str, str] = Field(default_factory=dict)
    ready: str = ""
    ready_seconds: int = Field(default=READY_SECONDS, ge=1, le=MOST_READY_SECONDS)

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if wrong := bad_name(name):
            raise ValueError(wrong)
        return name

    @field_validator("image")
    @classmethod
    def _one_word(cls, image: str) -> str:
        if image.split() != ([image] if image else []) or image.startswith("-"):
            raise ValueError(f"{image!r} is no image: name one as an engine knows it, such as 'redis:7'")
        return image

    @field_validator("command", mode="before")
    @classmethod
    def _words_are_a_command(cls, value: object) -> object:
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return shlex.join(value)
        return value

    @field_validator("env", mode="before")
    @classmethod
    def _numbers_are_text(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        plain = {name: str(each) if type(each) in (int, float) else each for name, each in value.items()}
        wrong = next((name for name in plain if not VARIABLE.fullmatch(str(name))), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} cannot name a variable: use letters, digits and _")
        return plain

    @model_validator(mode="after")
    def _startable(self) -> ServiceConfig:
        texts = (self.image, self.command, self.ready, *self.env.values())
        if any("\0" in text for text in texts):
            raise ValueError("has a character in it that no command can hold (NUL): leave it out")
        if self.image:
            try:
                shlex.split(self.command)
            except ValueError as error:
                raise ValueError(f"its command cannot be read ({error}): close the quotes") from error
        elif not self.command:
            raise ValueError("needs an `image`, or a `command` that starts it in the sandbox")
        elif not self.ready:
            raise ValueError("needs `ready`, a command that succeeds once it answers, beside its `command`")
        return self

    def wanted(self) -> ServiceSpec | BoxProgram:
        """The service as it is opened."""
        if not self.image:
            return BoxProgram(self.name, self.command, self.ready, dict(self.env), self.ready_seconds)
        words = tuple(shlex.split(self.command))
        return ServiceSpec(self.name, self.image, words, dict(self.env), self.ready, self.ready_seconds)
