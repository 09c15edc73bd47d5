"""The rooms keep to the rules of the house, and the check that says so finds what breaks them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house import DISCOVERY, MAX_LINES, MAY_IMPORT, ROOMS, breaches
from tests.provision.places import CHECKOUT

INIT = "__init__.py holds a docstring, imports, __all__ and plain constants, no logic"


def test_the_rooms_keep_the_rules() -> None:
    assert [str(breach) for breach in breaches(CHECKOUT)] == []


def test_every_room_is_there_to_be_checked() -> None:
    assert set(MAY_IMPORT) == set(ROOMS)
    assert [room for room in ROOMS if not list((CHECKOUT / room).rglob("*.py"))] == []


@pytest.mark.parametrize("path", sorted(DISCOVERY))
def test_the_discovery_that_is_allowed_exists(path: str) -> None:
    assert (CHECKOUT / path).exists()


@pytest.mark.parametrize(
    ("path", "source", "what"),
    [
        ("session/queue.py", "import bot.inbox\n", "session must not import bot"),
        ("skills/loader.py", "from session.events import Event\n", "skills must not import session"),
        ("classifier/routing.py", "import sandbox\n", "classifier must not import sandbox"),
        ("bot/inbox.py", "def later():\n    import classifier.routing\n", "bot must not import classifier"),
        ("companion_web/app.py", "from bot import inbox\n", "companion_web must not import bot"),
        ("sandbox/jobs.py", "from deploy.wiring import wire\n", "sandbox must not import deploy"),
        ("deploy/wiring.py", "import tests.emulators\n", "only tests import tests"),
        ("bot/feed.py", "from .inbox import Inbox\n", "imports are absolute"),
        ("bot/feed.py", "from . import inbox\n", "imports are absolute"),
        ("bot/feed.py", "import arq\n", "only the queue and the worker's entry know arq"),
        (
            "sandbox/jobs.py",
            "from arq.worker import Retry\n",
            "only the queue and the worker's entry know arq",
        ),
        ("sandbox/environments/docker.py", "", "nothing here is called docker"),
        ("bot/platforms/discord.py", "", "nothing here is called discord"),
        ("sandbox/agent/openai.py", "", "nothing here is called openai"),
        ("session/utils.py", "", "nothing here is called utils"),
        ("session/common/names.py", "", "nothing here is called common"),
        ("bot/helpers.py", "", "nothing here is called helpers"),
        ("sandbox/manager.py", "", "nothing here is called manager"),
        ("bot/feed.py", "import os\nos.environ['A']\n", "the environment is read in session/settings.py"),
        ("bot/feed.py", "import os\nos.getenv('A')\n", "the environment is read in session/settings.py"),
        ("bot/feed.py", "from os import environ\n", "the environment is read in session/settings.py"),
        ("bot/__init__.py", "print()\n", INIT),
        ("bot/__init__.py", "def f(): ...\n", INIT),
        ("bot/__init__.py", "LIMIT = limit()\n", INIT),
        ("bot/long.py", "\n" * (MAX_LINES + 1), f"351 lines; a module holds one idea in at most {MAX_LINES}"),
    ],
)
def test_a_broken_rule_is_found(tmp_path: Path, path: str, source: str, what: str) -> None:
    _write(tmp_path, path, source)
    assert [(breach.path, breach.what) for breach in breaches(tmp_path)] == [(path, what)]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("session/queue.py", "import arq\nimport session.events\n"),
        ("session/settings.py", "import os\nos.environ['A']\n"),
        ("sandbox/jobs.py", "from session import queue\nfrom skills import loader\nimport docker\n"),
        ("deploy/wiring.py", "import os, arq, bot, sandbox\nos.getenv('A')\n"),
        ("bot/platforms/discord/gateway.py", "import discord\n"),
        ("bot/__init__.py", '"""Chat."""\nfrom __future__ import annotations\n__all__ = []\n'),
        ("sandbox/runner/__init__.py", "VERSION = 1\nfrom .server import serve\n"),
        ("bot/feed.py", "\n" * MAX_LINES),
        ("bot/sessions.py", "import sessionlike\nimport botocore\n"),
    ],
)
def test_what_is_allowed_is_left_alone(tmp_path: Path, path: str, source: str) -> None:
    _write(tmp_path, path, source)
    assert breaches(tmp_path) == []


def test_a_breach_says_where_it_is(tmp_path: Path) -> None:
    _write(tmp_path, "bot/inbox.py", "import session\n\nimport sandbox\n")
    assert [str(breach) for breach in breaches(tmp_path)] == ["bot/inbox.py:3: bot must not import sandbox"]


def _write(root: Path, path: str, source: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True)
    file.write_text(source)
