"""The app's manifest grants and subscribes exactly what the code uses."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import yaml

from bot.platforms.slack.needs import COMMAND, EVENTS, METHODS, scopes
from tests.emulators.slack.method_rules import EVENT_SCOPES, RULES
from tests.provision.places import CHECKOUT

MANIFEST = yaml.safe_load((CHECKOUT / "deploy" / "slack_manifest.yaml").read_text(encoding="utf-8"))
SOURCES = sorted((CHECKOUT / "bot" / "platforms" / "slack").glob("*.py"))


def called(path: Path) -> Iterator[str]:
    """Every method that `SlackApi.call` or `.quietly` is asked for in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in ("call", "quietly") and node.args and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value)


def listened(path: Path) -> Iterator[str]:
    """Every event that a module registers a listener for."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "event":
            assert isinstance(node.args[0], ast.Constant)
            yield str(node.args[0].value)


def test_the_manifest_grants_exactly_the_scopes_in_use() -> None:
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == scopes()
    assert "user" not in MANIFEST["oauth_config"]["scopes"]


def test_the_manifest_subscribes_exactly_the_events_in_use() -> None:
    assert set(MANIFEST["settings"]["event_subscriptions"]["bot_events"]) == set(EVENTS)


def test_what_is_declared_is_what_is_called_and_heard() -> None:
    assert {method for path in SOURCES for method in called(path)} == set(METHODS)
    heard = {event for path in SOURCES for event in listened(path)}
    assert {event.partition(".")[0] for event in EVENTS} == heard


def test_the_declared_scopes_are_those_slack_asks_for() -> None:
    for method, declared in METHODS.items():
        assert set(RULES[method].scopes) <= set(declared)
    for event, declared in EVENTS.items():
        needed = EVENT_SCOPES[event]
        assert declared == (() if needed is None else (needed,))


def test_the_command_and_the_home_tab_are_there() -> None:
    (command,) = MANIFEST["features"]["slash_commands"]
    assert command["command"] == COMMAND
    listeners = "".join(path.read_text(encoding="utf-8") for path in SOURCES).count(".command(")
    assert listeners == 1
    assert MANIFEST["features"]["app_home"]["home_tab_enabled"] is True


def test_buttons_reach_us_and_socket_mode_is_on() -> None:
    assert MANIFEST["settings"]["interactivity"]["is_enabled"] is True
    assert MANIFEST["settings"]["socket_mode_enabled"] is True
    assert MANIFEST["features"]["app_home"]["messages_tab_read_only_enabled"] is False
