"""Shell commands in plain words, for people who watch a card and do not read shell."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_SHOWN_CHARACTERS = 60

_ASSIGNMENTS = re.compile(r"^(?:[A-Za-z_][A-Za-z0-9_]*=\S*\s+)+")
_PREFIXES = re.compile(r"^(?:(?:sudo|env|time|nice|command|exec|timeout\s+\S+)\s+)+")
_CHANGE_FOLDER = re.compile(r"^cd\s+\S+\s*(?:&&|;)\s*")

_WORDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (
            r"^(?:python3? -m )?(?:pytest|unittest|tox|nox)\b|phpunit\b|^(?:npm|yarn|pnpm|composer|make|"
            r"cargo|bundle exec|mvn|(?:\./)?gradlew?) (?:run )?(?:test|check|rspec)\b|^go test\b|"
            r"^php .*tests?[/.]|"
            r"^(?:npx )?(?:jest|vitest|playwright test|rspec)\b|^dotnet test\b",
            "running the tests",
        ),
        (
            r"^(?:python3? -m )?(?:ruff|mypy|flake8|pylint|black)\b|^(?:npx )?(?:eslint|tsc|prettier)\b|"
            r"phpstan\b|php-cs-fixer\b|^php -l\b|^golangci-lint\b|^cargo (?:clippy|fmt)\b",
            "running the linters",
        ),
        (
            r"^(?:python3? -m )?pip3? install\b|^uv (?:sync|pip|add|lock)\b|^(?:npm|yarn|pnpm) "
            r"(?:ci|install|i|add)\b|^composer (?:install|require|update)\b|^poetry (?:install|add|update)\b|"
            r"^bundle install\b|^go (?:get|mod)\b|^apt(?:-get)? ",
            "installing packages",
        ),
        (
            r"^(?:npm|yarn|pnpm) (?:run )?build\b|^make(?: all| build)?$|^cargo build\b|^go build\b|^mvn\b",
            "building",
        ),
        (
            r"^git (?:log|show|blame|diff|status|branch|merge-base|rev-parse|ls-files)\b",
            "looking at the history",
        ),
        (r"^git (?:add|commit|stash|checkout|switch|restore|reset|rebase|cherry-pick)\b", "working with git"),
        (r"^(?:grep|rg|ag|find|fd)\b", "searching the code"),
        (r"^(?:ls|tree|pwd|wc|du|file|stat)\b", "looking around"),
        (r"^(?:cat|head|tail|less|sed -n|nl)\b", "reading files"),
        (r"^(?:rm|mv|cp|mkdir|touch|chmod|ln)\b", "arranging files"),
    )
)


def describe_command(command: str) -> str:
    """What a shell command does, as a phrase that continues "Bellhop is …"."""
    bare = _bare(command)
    for pattern, words in _WORDS:
        if pattern.search(bare):
            return words
    return f"running {shortened(bare)}" if bare else "running a command"


def shortened(text: str, limit: int = MAX_SHOWN_CHARACTERS) -> str:
    """The first line of `text`, cut at `limit` characters."""
    first = text.strip().split("\n")[0].strip()
    return first if len(first) <= limit else f"{first[: limit - 1].rstrip()}…"


def listed(names: Iterable[str], limit: int = 3) -> str:
    """The first few names, and how many more there are."""
    all_names = list(names)
    shown = ", ".join(all_names[:limit])
    return shown if len(all_names) <= limit else f"{shown} and {len(all_names) - limit} more"


def _bare(command: str) -> str:
    lines = [line.strip() for line in command.strip().split("\n")]
    text = next((line for line in lines if line and not line.startswith(("#", "set -"))), "")
    while True:
        shorter = _PREFIXES.sub("", _ASSIGNMENTS.sub("", _CHANGE_FOLDER.sub("", text)))
        if shorter == text:
            return text
        text = shorter
