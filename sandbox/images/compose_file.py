"""The compose file that a devcontainer.json names, as far as it says what runs beside the box.

Source: https://containers.dev/implementors/json_reference/ and https://docs.docker.com/reference/compose-file/
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from sandbox.environments.service import MOST_SERVICES, ServiceSpec, WantedServices, bad_name
from sandbox.images.devcontainer import FILES, VARIABLE
from sandbox.images.jsonc import NotJson, line_of, read_jsonc
from session.lined_yaml import Lined, Misplaced, read

ReadFile = Callable[[str], Awaitable[str | None]]
FOLLOWED = frozenset({"image", "command", "environment", "healthcheck", "depends_on"})
WITHOUT_MEANING = frozenset({"container_name", "restart", "expose", "labels", "logging", "init", "profiles"})
"""Settings that change nothing about what a service is to the programs of the box."""

_VARIABLES = re.compile(r"\$(?:(\$)|\{([A-Za-z_]\w*)(?::?-([^}]*))?[^}]*\}|([A-Za-z_]\w*))")


class _Mistaken(Exception):
    """A file cannot be followed: `file:line: what is wrong and what to write instead`."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One service of a compose file: its settings, and where they stand."""

    name: str
    file: str
    whole: Lined
    settings: Mapping[str, object]

    def wrong(self, setting: str, what: str) -> _Mistaken:
        """That a setting of it cannot be followed."""
        line = self.whole.line_of(("services", self.name, setting))
        return _Mistaken(f"{self.file}:{line}: services.{self.name}.{setting} {what}")


@dataclass(frozen=True, slots=True)
class _Named:
    """What devcontainer.json says of compose files. `run` None: all services are to run."""

    file: str
    compose: tuple[str, ...]
    own: str
    run: tuple[str, ...] | None


async def compose_services(read_file: ReadFile) -> WantedServices:
    """The services beside the box of the repository whose files `read_file` gives (None: there is none)."""
    try:
        named = await _named(read_file)
        if named is None:
            return WantedServices()
        entries: dict[str, _Entry] = {}
        for file in named.compose:
            for entry in _entries(file, await read_file(file), named):
                entries[entry.name] = _over(entries.get(entry.name), entry)
        return _wanted(named, entries)
    except _Mistaken as error:
        return WantedServices(mistake=str(error))


async def _named(read_file: ReadFile) -> _Named | None:
    for file in FILES:
        if (text := await read_file(file)) is not None:
            break
    else:
        return None
    try:
        content = read_jsonc(text)
    except NotJson:  # whoever reads the rest of it says so
        return None
    if not isinstance(content, dict) or "dockerComposeFile" not in content:
        return None
    written = content["dockerComposeFile"]
    files = [written] if isinstance(written, str) else written
    run = content.get("runServices")
    if not files or not _are_texts(files):
        raise _Mistaken(f"{file}:{line_of(text, 'dockerComposeFile')}: `dockerComposeFile` must be a path.")
    if run is not None and not _are_texts(run):
        raise _Mistaken(f"{file}:{line_of(text, 'runServices')}: `runServices` must be a list of services.")
    paths = [posixpath.normpath(posixpath.join(posixpath.dirname(file), path)) for path in files]
    own = content.get("service")
    return _Named(
        file, tuple(paths), own if isinstance(own, str) else "", None if run is None else tuple(run)
    )


def _entries(file: str, text: str | None, named: _Named) -> Iterable[_Entry]:
    if text is None:
        raise _Mistaken(f"{named.file} names {file}, which is not in the repository; correct that path.")
    try:
        content = read(text)
        value = content.value() if content is not None else None
    except Misplaced as error:
        raise _Mistaken(f"{file}:{error.line}: {error.what}.") from error
    services = value.get("services") if isinstance(value, dict) else None
    if content is None or not isinstance(services, dict):
        raise _Mistaken(f"{file}:1: there are no `services` in it.")
    for name, settings in services.items():
        line = content.line_of(("services", str(name)))
        if wrong := bad_name(str(name)):
            raise _Mistaken(f"{file}:{line}: {wrong}.")
        if not isinstance(settings, dict):
            raise _Mistaken(f"{file}:{line}: services.{name} must be settings with their names.")
        yield _Entry(str(name), file, content, {str(key): each for key, each in settings.items()})


def _over(earlier: _Entry | None, later: _Entry) -> _Entry:
    """A further file's settings over those of the files before it."""
    if earlier is None:
        return later
    settings = {**earlier.settings, **later.settings}
    if "environment" in earlier.settings and "environment" in later.settings:
        settings["environment"] = {**_written(earlier), **_written(later)}
    return _Entry(later.name, later.file, later.whole, settings)


def _wanted(named: _Named, entries: Mapping[str, _Entry]) -> WantedServices:
    roots = entries if named.run is None else (named.own, *named.run)
    ordered = _in_order([name for name in roots if name], entries, named)
    beside = [entries[name] for name in ordered if name != named.own]
    notes = [note for name in ordered for note in _notes(entries[name], own=name == named.own)]
    services = [_service(entry) for entry in beside if entry.settings.get("image")]
    if len(services) > MOST_SERVICES:
        left = ", ".join(service.name for service in services[MOST_SERVICES:])
        notes.append(f"{beside[0].file}: at most {MOST_SERVICES} services run; left out: {left}.")
    return WantedServices(tuple(services[:MOST_SERVICES]), tuple(notes))


def _in_order(roots: Iterable[str], entries: Mapping[str, _Entry], named: _Named) -> list[str]:
    """The names, each after those it depends on. Raises: _Mistaken for one that is not there, or a circle."""
    ordered: list[str] = []

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in ordered:
            return
        if name not in entries:
            asking = entries[above[-1]].file if above else named.file
            raise _Mistaken(f"{asking} names the service {name}, which no compose file has.")
        if name in above:
            circle = " → ".join((*above[above.index(name) :], name))
            raise entries[name].wrong("depends_on", f"goes round in a circle: {circle}.")
        needed = entries[name].settings.get("depends_on") or ()
        if not isinstance(needed, list | dict | tuple):
            raise entries[name].wrong("depends_on", "must be a list of services.")
        for each in needed:
            add(str(each), (*above, name))
        ordered.append(name)

    for name in roots:
        add(name, ())
    return ordered


def _service(entry: _Entry) -> ServiceSpec:
    image = entry.settings["image"]
    if not isinstance(image, str):
        raise entry.wrong("image", "must be the name of an image, such as 'redis:7'.")
    variables = {name: _filled(value) for name, value in _written(entry).items() if value is not None}
    return ServiceSpec(entry.name, _filled(image), _command(entry), variables, _ready(entry))


def _written(entry: _Entry) -> Mapping[str, str | None]:
    """The variables of a service; None for one whose value is this machine's to say."""
    written = entry.settings.get("environment") or {}
    if isinstance(written, list) and _are_texts(written):
        pairs = [text.partition("=") for text in written]
        written = {name: value if equals else None for name, equals, value in pairs}
    if not isinstance(written, dict) or not all(VARIABLE.fullmatch(str(name)) for name in written):
        raise entry.wrong("environment", "must be texts by name, such as {POSTGRES_PASSWORD: test}.")
    if any(isinstance(value, list | dict) for value in written.values()):
        raise entry.wrong("environment", "must be texts by name, such as {POSTGRES_PASSWORD: test}.")
    return {str(name): None if value is None else _text(value) for name, value in written.items()}


def _command(entry: _Entry) -> tuple[str, ...]:
    written = entry.settings.get("command") or ()
    if isinstance(written, str):
        try:
            return tuple(shlex.split(_filled(written)))
        except ValueError as error:
            raise entry.wrong("command", f"cannot be read ({error}): close the quotes.") from error
    if not isinstance(written, list | tuple) or any(isinstance(word, list | dict) for word in written):
        raise entry.wrong("command", "must be a command, as text or as a list of words.")
    return tuple(_filled(_text(word)) for word in written)


def _ready(entry: _Entry) -> str:
    check = entry.settings.get("healthcheck") or {}
    if not isinstance(check, dict):
        raise entry.wrong("healthcheck", "must be settings, such as {test: [CMD, redis-cli, ping]}.")
    test = check.get("test") or ""
    if check.get("disable") is True or not test:
        return ""
    if isinstance(test, str):
        return _filled(test)
    if not _are_texts(test) or test[0] not in ("NONE", "CMD", "CMD-SHELL"):
        raise entry.wrong("healthcheck", "has a test that begins with CMD, CMD-SHELL or NONE, or is a text.")
    words = [_filled(word) for word in test[1:]]
    return {"NONE": "", "CMD": shlex.join(words), "CMD-SHELL": " ".join(words)}[test[0]]


def _notes(entry: _Entry, *, own: bool) -> list[str]:
    settings = set(entry.settings) - WITHOUT_MEANING
    if own:
        unused = settings - {"depends_on", "command", "network_mode", "networks", "volumes"}
        text = f"the sandbox stands for the service {entry.name}, whose {_listed(unused)} is not followed"
        return [f"{entry.file}: {text}."] if unused else []
    notes = []
    if not entry.settings.get("image"):
        return [f"{entry.file}: the service {entry.name} does not run: it names no image to start from."]
    if unused := settings - FOLLOWED:
        notes.append(f"{entry.file}: of the service {entry.name}, {_listed(unused)} is not followed.")
    if empty := sorted(_empty_variables(entry)):
        notes.append(
            f"{entry.file}: the service {entry.name} takes {_listed(empty)} from the machine it runs on, "
            "of which a sandbox is told nothing; it is empty."
        )
    return notes


def _empty_variables(entry: _Entry) -> set[str]:
    """The names of what would be this machine's to say, and has nothing in its place."""
    variables = _written(entry)
    texts = [value for value in variables.values() if value is not None]
    texts += [str(entry.settings.get(name) or "") for name in ("image", "command", "healthcheck")]
    found = [match for text in texts for match in _VARIABLES.finditer(text) if not match[1]]
    asked = {match[2] or match[4] for match in found if match[3] is None}
    return asked | {name for name, value in variables.items() if value is None}


def _filled(text: str) -> str:
    """The text with the defaults of its variables; nothing of this machine's environment is ever told."""
    return _VARIABLES.sub(lambda found: "$" if found[1] else (found[3] or ""), text)


def _text(value: object) -> str:
    """A scalar of YAML as compose takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
