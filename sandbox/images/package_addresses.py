"""Reading what pip, npm and apt say of the package indexes they use: addresses only, never a credential.

What cannot be read is left out: these texts come from machines and images that others configured.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

# Source: pip's `config list`: one `section.option='value'` per line, the value as Python writes a text.
PIP_LINE = re.compile(r"(?P<section>[^=]+?)\.(?P<option>[a-z-]+)=(?P<value>['\"].*)")
# Source: sources.list(5), the one-line style.
APT_LINE = re.compile(r"(?P<before>deb(-src)?\s+(\[[^\]]*\]\s+)?)(?P<address>\S+)(?P<after>\s+\S.*)")
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class AptEntry:
    """An entry of apt's sources. `text` is the entry with nothing but these `addresses` in it."""

    addresses: tuple[str, ...]
    text: str


def web_address(text: str) -> str | None:
    """An http or https address without user, password, query and fragment; None for anything else."""
    found = origin_of(text)
    if found is None:
        return None
    return found + urlsplit(text.strip()).path


def origin_of(text: str) -> str | None:
    """`https://host[:port]` of such an address, in lower case, without the usual port; None for others."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in USUAL_PORTS or not HOST.fullmatch(parts.hostname or ""):
        return None
    usual = port in (None, USUAL_PORTS[parts.scheme])
    return f"{parts.scheme}://{parts.hostname}" + ("" if usual else f":{port}")


def pip_options(listed: str) -> Mapping[str, tuple[str, ...]]:
    """The words of each option in the output of `pip config list`; variables first, then settings for all."""
    found: dict[str, list[tuple[int, list[str]]]] = {}
    for line in listed.splitlines():
        matched = PIP_LINE.fullmatch(line.strip())
        value = _python_text(matched["value"]) if matched else None
        if matched is not None and value is not None:
            rank = {":env:": 0, "global": 1}.get(matched["section"], 2)
            found.setdefault(matched["option"], []).append((rank, value.split()))
    return {
        option: tuple(word for _, words in sorted(values, key=lambda value: value[0]) for word in words)
        for option, values in found.items()
    }


def npm_registries(listed: str) -> Mapping[str, str]:
    """`registry` and every `@scope:registry` in the output of `npm config list --json`."""
    try:
        content = json.loads(listed)
    except ValueError:
        return {}
    if not isinstance(content, dict):
        return {}
    named = {
        name: web_address(value)
        for name, value in content.items()
        if isinstance(value, str) and (name == "registry" or re.fullmatch(r"@[^:\s]+:registry", name))
    }
    return {name: address for name, address in named.items() if address is not None}


def apt_entries(name: str, text: str) -> Sequence[AptEntry]:
    """The entries of one file of apt's sources that are in force and name a web address.

    `name` ends in .list or .sources, which says how the file is written.
    """
    read = _paragraph if name.endswith(".sources") else _line
    parts = re.split(r"\n[ \t]*\n", text) if name.endswith(".sources") else text.splitlines()
    entries = (read(part) for part in parts)
    return [entry for entry in entries if entry is not None and entry.addresses]


def origins(addresses: Iterable[str]) -> tuple[str, ...]:
    """The origins of addresses, each once, in their order."""
    found = (origin_of(address) for address in addresses)
    return tuple(dict.fromkeys(origin for origin in found if origin is not None))


def _line(line: str) -> AptEntry | None:
    matched = APT_LINE.fullmatch(line.partition("#")[0].strip())
    address = web_address(matched["address"]) if matched else None
    if matched is None or address is None:
        return None
    return AptEntry((address,), f"{matched['before']}{address}{matched['after']}")


def _paragraph(text: str) -> AptEntry | None:
    """Source: sources.list(5), the deb822 style: fields, continued on lines that begin with a blank."""
    fields: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line[0] in " \t":
            fields.setdefault(name, []).append(line.rstrip())
            continue
        name, _, value = line.partition(":")
        name = name.strip().lower()
        fields[name] = [value.strip()]
    if " ".join(fields.get("enabled", [])).strip().lower() in ("no", "false", "without", "off", "disable"):
        return None
    words = " ".join(fields.get("uris", [])).split()
    addresses = tuple(address for word in words if (address := web_address(word)) is not None)
    fields["uris"] = [" ".join(addresses)]
    lines = [f"{name}: " + "\n".join(values) for name, values in fields.items() if name]
    return AptEntry(addresses, "\n".join(lines))


def _python_text(written: str) -> str | None:
    try:
        value = ast.literal_eval(written)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, str) else None
