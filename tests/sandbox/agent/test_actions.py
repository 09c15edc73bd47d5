"""Commands read as what they are for."""

from __future__ import annotations

import pytest

from sandbox.agent.actions import describe_command, listed, shortened


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python -m pytest -q tests", "running the tests"),
        ("cd billing && CI=1 vendor/bin/phpunit --filter x", "running the tests"),
        ("npm run test -- --watch=false", "running the tests"),
        ("timeout 60 go test ./...", "running the tests"),
        ("ruff check .", "running the linters"),
        ("composer install --no-interaction", "installing packages"),
        ("git log --oneline | head", "looking at the history"),
        ("git add -A && git commit -m x", "working with git"),
        ("rg -n total src", "searching the code"),
        ("ls -la", "looking around"),
        ("cat a.py", "reading files"),
        ("mkdir -p a/b", "arranging files"),
        ("set -e\n# prepare\n./do-it --now", "running ./do-it --now"),
        ("", "running a command"),
    ],
)
def test_a_command_in_plain_words(command: str, words: str) -> None:
    assert describe_command(command) == words


def test_long_things_are_shortened() -> None:
    assert shortened("x" * 100, 10) == "xxxxxxxxx…"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert len(describe_command("./" + "y" * 200)) < 80
