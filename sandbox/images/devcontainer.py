"""`devcontainer.json`: what a repository says of the box that it is developed in, as far as it is honoured.

Source: https://containers.dev/implementors/json_reference/
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.environments.protocol import WORKSPACE
from sandbox.images.jsonc import NotJson, line_of, read_jsonc

FILES = (".devcontainer/devcontainer.json", ".devcontainer.json")
"""Where it may lie; the first one that is there counts."""

UNUSED = ("features", "initializeCommand", "postStartCommand", "postAttachCommand")
"""Settings that would shape the box elsewhere and do not here; a build's log names those that are there."""

RESERVED = re.compile(
    r"HOME|PATH|USER|LOGNAME|LD_PRELOAD|LD_LIBRARY_PATH|(https?|no|all)_proxy|SSL_CERT_(FILE|DIR)|BELLHOP_.*",
    re.IGNORECASE,
)
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
MAX_VARIABLES = 100
MAX_CHARACTERS = 8_000
_ELSEWHERE = re.compile(r"\$\{(localEnv|env):[A-Za-z0-9_]+(?::([^}]*))?\}")
_FOLDERS = re.compile(r"\$\{(container|local)WorkspaceFolder(Basename)?\}")


class BadDevcontainer(Exception):
    """The file cannot be followed: `file:line: what is wrong and what to write instead`."""


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """An image to be built. `file` and `context` are paths from the repository's root, `.` for the root."""

    file: str
    context: str
    args: Mapping[str, str] = field(default_factory=dict)
    target: str = ""


@dataclass(frozen=True, slots=True)
class Devcontainer:
    """What is honoured of one file. Commands are shell commands in their order; `user` is empty where the
    file names none, or root."""

    file: str = ""
    image: str = ""
    dockerfile: Dockerfile | None = None
    on_create: tuple[str, ...] = ()
    update_content: tuple[str, ...] = ()
    post_create: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    unused: tuple[str, ...] = ()


def read_devcontainer(file: str, text: str) -> Devcontainer:
    """What the text of that file says. Raises: BadDevcontainer."""
    return _Reading(file, text).devcontainer()


class _Reading:
    """One file being read; `_wrong` names the line of whatever is wrong."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._text = text
        try:
            content = read_jsonc(text)
        except NotJson as error:
            raise BadDevcontainer(
                f"{file}:{error.line}: this is not JSON ({error.what}). Comments and a last comma are "
                "allowed; everything else is written as in JSON."
            ) from error
        if not isinstance(content, dict):
            raise BadDevcontainer(f'{file}:1: write settings in braces, such as {{"image": "python:3.12"}}.')
        self._content: dict[str, object] = content

    def devcontainer(self) -> Devcontainer:
        """The whole of it."""
        dockerfile = self._dockerfile()
        user = self._text_of(self._content, "remoteUser", "vscode")
        if user and not USER.fullmatch(user):
            raise self._wrong("remoteUser", 'must be the name of a user, such as "vscode".')
        return Devcontainer(
            file=self._file,
            image="" if dockerfile else self._text_of(self._content, "image", "python:3.12"),
            dockerfile=dockerfile,
            on_create=self._commands("onCreateCommand"),
            update_content=self._commands("updateContentCommand"),
            post_create=self._commands("postCreateCommand"),
            env=self._variables(),
            user="" if user == "root" else user,
            unused=tuple(name for name in UNUSED if name in self._content),
        )

    def _dockerfile(self) -> Dockerfile | None:
        build = self._content.get("build", {})
        if not isinstance(build, dict):
            raise self._wrong("build", 'must be settings, such as {"dockerfile": "Dockerfile"}.')
        # `dockerFile` and `context` beside `image` are how this was written before there was `build`.
        name = self._text_of(build, "dockerfile", "Dockerfile") or self._text_of(
            self._content, "dockerFile", "Dockerfile"
        )
        if not name:
            return None
        context = self._text_of(build, "context", "..") or self._text_of(self._content, "context", "..")
        return Dockerfile(
            file=self._path("dockerfile", name),
            context=self._path("context", context or "."),
            args=self._args(build),
            target=self._text_of(build, "target", "dev"),
        )

    def _args(self, build: Mapping[str, object]) -> Mapping[str, str]:
        args = build.get("args", {})
        if not isinstance(args, dict) or not all(isinstance(value, str) for value in args.values()):
            raise self._wrong("args", 'must be texts by name, such as {"VARIANT": "3.12"}.')
        return {name: _substituted(value) for name, value in args.items()}

    def _path(self, name: str, written: str) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self._file), written))
        if posixpath.isabs(path) or path == ".." or path.startswith("../"):
            raise self._wrong(name, f"leads out of the repository ({written}); name a path inside it.")
        return path

    def _commands(self, name: str) -> tuple[str, ...]:
        value = self._content.get(name)
        # Named commands have no order of their own; see docs/images.md for why they do not run side by side.
        written = list(value.values()) if isinstance(value, dict) else [value]
        commands = [self._command(name, each) for each in written]
        return tuple(command for command in commands if command)

    def _command(self, name: str, value: object) -> str:
        if value is None or value == "" or value == []:
            return ""
        if isinstance(value, str):
            return self._kept(name, _substituted(value))
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return self._kept(name, shlex.join(_substituted(word) for word in value))
        example = '"make setup", or ["make", "setup"], or {"python": "make setup"}'
        raise self._wrong(name, f"must be a command, such as {example}.")

    def _variables(self) -> Mapping[str, str]:
        env = self._content.get("containerEnv", {})
        if not isinstance(env, dict):
            raise self._wrong("containerEnv", 'must be texts by name, such as {"TZ": "UTC"}.')
        if len(env) > MAX_VARIABLES:
            raise self._wrong("containerEnv", f"has more than {MAX_VARIABLES} variables; leave some out.")
        for name, value in env.items():
            if not VARIABLE.fullmatch(name) or not isinstance(value, str):
                raise self._wrong(name, 'must be a plain name with a text, such as "TZ": "UTC".')
            if RESERVED.fullmatch(name):
                raise self._wrong(name, "belongs to the sandbox in containerEnv; leave it out.")
        return {name: self._kept(name, _substituted(value)) for name, value in env.items()}

    def _text_of(self, content: Mapping[str, object], name: str, example: str) -> str:
        value = content.get(name, "")
        if not isinstance(value, str):
            raise self._wrong(name, f'must be a text, such as "{example}".')
        return self._kept(name, _substituted(value.strip()))

    def _kept(self, name: str, text: str) -> str:
        if "\0" in text or len(text) > MAX_CHARACTERS:
            raise self._wrong(name, f"must be text of at most {MAX_CHARACTERS} characters.")
        return text

    def _wrong(self, name: str, what: str) -> BadDevcontainer:
        return BadDevcontainer(f"{self._file}:{line_of(self._text, name)}: `{name}` {what}")


def _substituted(text: str) -> str:
    """The text with what the box is elsewhere in it; nothing of this machine's environment is ever told."""
    text = _FOLDERS.sub(lambda found: posixpath.basename(WORKSPACE) if found[2] else WORKSPACE, text)
    return _ELSEWHERE.sub(lambda found: found[2] or "", text)
