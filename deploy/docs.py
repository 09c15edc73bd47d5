"""Writes the generated pages of `docs/`, or checks that they are up to date (`--check`).

Generated are the settings and the events: what the code declares is what the page says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic_core import PydanticUndefined

from session.events import EVENT_TYPES, Event
from session.settings import Settings

DOCS = Path(__file__).resolve().parent.parent / "docs"
_GENERATED = "<!-- Written by `make docs` from the code; edit the code instead. -->"


def settings_page() -> str:
    """`docs/settings.md`: every environment variable, its default and what it is for."""
    lines = [
        "# Settings",
        "",
        _GENERATED,
        "",
        "Settings are environment variables, read once at start. A missing or malformed one stops the",
        "process with a sentence that names it.",
        "",
        "| variable | default | what it is for |",
        "| --- | --- | --- |",
    ]
    for name, field in sorted(Settings.model_fields.items()):
        default = field.default
        if field.default_factory is not None or default is PydanticUndefined:
            shown = "computed"
        elif default in (None, "", ()):
            shown = "—"
        else:
            shown = f"`{default}`"
        lines.append(f"| `{name.upper()}` | {shown} | {_one_line(field.description or '')} |")
    return "\n".join(lines) + "\n"


def events_page() -> str:
    """`docs/events.md`: every event of the log with its fields."""
    lines = [
        "# Events",
        "",
        _GENERATED,
        "",
        "The log of these events is the truth about a session. Each has a sequence number that counts from 1",
        "in its session; the state that surfaces show is a fold of them (`session/fold.py`).",
    ]
    for name, event_type in EVENT_TYPES.items():
        lines += ["", f"## {name}", "", _one_line(event_type.__doc__ or ""), ""]
        lines += _fields(event_type)
    return "\n".join(lines) + "\n"


def _fields(event_type: type[Event]) -> list[str]:
    rows = ["| field | type | needed |", "| --- | --- | --- |"]
    for name, field in event_type.model_fields.items():
        kind = _type_name(field.annotation)
        rows.append(f"| `{name}` | `{kind}` | {'yes' if field.is_required() else 'no'} |")
    return rows


def _type_name(annotation: object) -> str:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    for prefix in ("session.people.", "session.events.", "typing.", "datetime."):
        text = text.replace(prefix, "")
    return text.replace("|", "\\|")


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES: dict[str, Callable[[], str]] = {"settings.md": settings_page, "events.md": events_page}


def main() -> int:
    """Writes the pages; with `--check` writes nothing and returns 1 when a page is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for name, page in PAGES.items():
        path, text = DOCS / name, page()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(f"docs/{name}")
        if not check:
            path.write_text(text, encoding="utf-8")
    if check and stale:
        print(f"out of date: {', '.join(stale)}. Run `make docs` and commit what it writes.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
