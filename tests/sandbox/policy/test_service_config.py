"""`services` of a repository's own configuration: what is wanted, and sentences about mistakes."""

from __future__ import annotations

import pytest

from sandbox.environments.service import BoxProgram, ServiceSpec
from sandbox.policy.own_config import read_config
from session.lined_yaml import Misplaced


def test_a_service_is_a_container_or_a_program_of_the_box() -> None:
    config = read_config(
        """
services:
  - name: db
    image: postgres:16
    command: postgres -c 'log_statement=all'
    env: {POSTGRES_PASSWORD: test, PORT: 5432}
    ready: pg_isready
    ready_seconds: 30
  - {name: plain, image: "redis:7", command: [redis-server, --save, ""]}
  - {name: web, command: [python3, -m, http.server], ready: "nc -z localhost 8000"}
"""
    )
    db, plain, web = [service.wanted() for service in config.services]
    variables = {"POSTGRES_PASSWORD": "test", "PORT": "5432"}
    command = ("postgres", "-c", "log_statement=all")
    assert db == ServiceSpec("db", "postgres:16", command, variables, "pg_isready", 30)
    assert plain == ServiceSpec("plain", "redis:7", ("redis-server", "--save", ""))
    assert web == BoxProgram("web", "python3 -m http.server", "nc -z localhost 8000")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("services:\n- {name: a, image: 'a:1'}\n- {name: b}", 3, "needs an `image`, or a `command`"),
        ("services:\n- {name: a, command: run}", 2, "needs `ready`"),
        ("services:\n- {image: 'a:1'}", 2, "services.0.name: is missing"),
        ("services:\n- name: a\n  image: 'a:1'\n  port: 1", 4, "is no setting of a service; known are name,"),
        ("services:\n- name: a b\n  image: 'a:1'", 2, "'a b' cannot name a service"),
        ("services:\n- {name: localhost, image: 'a:1'}", 2, "'localhost' is the box itself"),
        ("services:\n- {name: a, image: 'a 1'}", 2, "'a 1' is no image"),
        ("services:\n- {name: a, image: 'a:1', command: \"it's\"}", 2, "close the quotes"),
        ("services:\n- {name: a, image: 'a:1', command: [1]}", 2, "services.0.command:"),
        ("services:\n- name: a\n  image: 'a:1'\n  env: {A-B: x}", 4, "'A-B' cannot name a variable"),
        ("services:\n- name: a\n  image: 'a:1'\n  env:\n    A: true", 5, "services.0.env.A:"),
        ("services:\n- {name: a, image: 'a:1', ready_seconds: 0}", 2, "services.0.ready_seconds:"),
        ("services:\n- {name: a, image: 'a:1'}\n- {name: A, image: 'a:1'}", 1, "two services are called 'a'"),
        ("services:\n" + "".join(f"- {{name: a{n}, image: 'a:1'}}\n" for n in range(9)), 1, "at most 8"),
        ("services: {name: a}", 1, "services:"),
        ("services:\n- postgres", 2, "must be settings with their names"),
    ],
)
def test_a_mistake_is_said_with_its_line_and_an_example(text: str, line: int, says: str) -> None:
    with pytest.raises(Misplaced) as caught:
        read_config(text)
    assert says in caught.value.what
    assert "Example: services: [{name: redis" in caught.value.what
    assert caught.value.line == line
