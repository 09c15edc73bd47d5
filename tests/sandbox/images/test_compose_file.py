"""What of a devcontainer's compose file runs beside the box, and what is said of the rest."""

from __future__ import annotations

import pytest

from sandbox.environments.service import ServiceSpec, WantedServices
from sandbox.images.compose_file import compose_services

FILE = ".devcontainer/devcontainer.json"
COMPOSE = ".devcontainer/compose.yaml"
ELSEWHERE = "the machine it runs on, of which a sandbox is told nothing; it is empty."
DEVCONTAINER = '{"dockerComposeFile": "compose.yaml", "service": "app"'


async def wanted(compose: str, more: str = "", **others: str) -> WantedServices:
    files = {FILE: f"{DEVCONTAINER}{more}}}", COMPOSE: compose, **others}

    async def read_file(path: str) -> str | None:
        return files.get(path)

    return await compose_services(read_file)


async def test_services_start_after_those_they_depend_on_and_the_box_stands_for_its_own() -> None:
    found = await wanted(
        """
services:
  app:
    build: .
    command: sleep infinity
    volumes: [..:/workspace]
    depends_on: [worker]
  worker:
    image: "queue:${QUEUE_VERSION:-3}"
    command: work --level $$LEVEL "two words"
    environment: [MODE=test, HOME_TOKEN]
    depends_on: {db: {condition: service_healthy}}
    restart: unless-stopped
  db:
    image: postgres:16
    command: [postgres, -c, 5]
    environment: {POSTGRES_PASSWORD: "${PASSWORD-secret}", SSL: false, FROM_HERE: $NOWHERE}
    healthcheck: {test: [CMD, pg_isready, -d, "my db"], interval: 5s}
    ports: ["5433:5432"]
    volumes: [data:/var/lib/postgresql/data]
  built:
    build: ./built
volumes: {data: {}}
"""
    )
    variables = {"POSTGRES_PASSWORD": "secret", "SSL": "false", "FROM_HERE": ""}
    db = ServiceSpec("db", "postgres:16", ("postgres", "-c", "5"), variables, "pg_isready -d 'my db'")
    worker = ServiceSpec("worker", "queue:3", ("work", "--level", "$LEVEL", "two words"), {"MODE": "test"})
    assert found.services == (db, worker)
    assert found.mistake == ""
    assert found.notes == (
        f"{COMPOSE}: of the service db, `ports`, `volumes` is not followed.",
        f"{COMPOSE}: the service db takes `NOWHERE` from {ELSEWHERE}",
        f"{COMPOSE}: the service worker takes `HOME_TOKEN` from {ELSEWHERE}",
        f"{COMPOSE}: the sandbox stands for the service app, whose `build` is not followed.",
        f"{COMPOSE}: the service built does not run: it names no image to start from.",
    )


async def test_run_services_narrow_what_runs_and_a_further_file_goes_over_the_first() -> None:
    more = ', "runServices": ["a"], "dockerComposeFile": ["compose.yaml", "../more.yml"]'
    first = """
services:
  app: {image: box, depends_on: [c]}
  a: {image: "a:1", environment: {A: "1", B: "1"}}
  b: {image: "b:1"}
  c: {image: "c:1", healthcheck: {test: [CMD-SHELL, ready || exit 1]}}
"""
    further = """
services:
  a: {environment: [B=2]}
  c: {image: "c:2", healthcheck: {disable: true}}
"""
    found = await wanted(first, more, **{"more.yml": further})
    assert found.services == (ServiceSpec("c", "c:2"), ServiceSpec("a", "a:1", (), {"A": "1", "B": "2"}))
    only = await wanted(
        "services:\n  app: {image: box}\n  a: {image: 'a:1', healthcheck: {test: up}}\n",
        ', "runServices": []',
    )
    assert only.services == ()
    every = await wanted("services:\n  app: {image: box}\n  a: {image: 'a:1', healthcheck: {test: up}}\n")
    assert [(each.name, each.ready) for each in every.services] == [("a", "up")]


async def test_no_compose_file_is_no_service() -> None:
    async def nothing(path: str) -> str | None:
        return None

    async def an_image(path: str) -> str | None:
        return '{"image": "python:3.12"}'

    assert await compose_services(nothing) == WantedServices()
    assert await compose_services(an_image) == WantedServices()


@pytest.mark.parametrize(
    ("compose", "more", "says"),
    [
        ("a: [", "", f"{COMPOSE}:1:"),
        ("services: 3", "", f"{COMPOSE}:1: there are no `services` in it."),
        ("services:\n  a b: {}", "", f"{COMPOSE}:2: 'a b' cannot name a service"),
        ("services:\n  a: postgres", "", f"{COMPOSE}:2: services.a must be settings"),
        ("services:\n  a:\n    image: [x]", "", f"{COMPOSE}:3: services.a.image must be the name"),
        ("services:\n  a: {image: x, depends_on: [b]}", "", f"{COMPOSE} names the service b, which no"),
        (
            "services:\n  a: {image: x, depends_on: [b]}\n  b:\n    image: x\n    depends_on: [a]",
            "",
            "goes round in a circle: a → b → a.",
        ),
        ("services:\n  a: {image: x, environment: [3]}", "", "services.a.environment must be texts"),
        ("services:\n  a: {image: x, environment: {A: [1]}}", "", "services.a.environment must be texts"),
        ("services:\n  a: {image: x, command: 'a \"b'}", "", "services.a.command cannot be read"),
        ("services:\n  a: {image: x, command: {b: c}}", "", "services.a.command must be a command"),
        ("services:\n  a: {image: x, healthcheck: {test: [ls]}}", "", "services.a.healthcheck has a test"),
        ("services:\n  a: {image: x, healthcheck: 3}", "", "services.a.healthcheck must be settings"),
        ("services: {a: {image: x}}", ', "runServices": ["b"]', f"{FILE} names the service app, which no"),
        ("services: {a: {image: x}}", ', "runServices": 3', f"{FILE}:1: `runServices` must be a list"),
        ("services: {a: {image: x}}", ', "dockerComposeFile": 3', f"{FILE}:1: `dockerComposeFile` must be"),
        (
            "",
            ', "dockerComposeFile": "../none.yml"',
            f"{FILE} names none.yml, which is not in the repository",
        ),
        ("", ', "dockerComposeFile": "../../etc.yml"', f"{FILE} names ../etc.yml, which is not in"),
    ],
)
async def test_a_mistake_is_a_sentence_and_no_service(compose: str, more: str, says: str) -> None:
    found = await wanted(compose, more)
    assert says in found.mistake
    assert found.services == ()


async def test_no_more_run_than_may() -> None:
    many = "".join(f"  s{number}: {{image: 'a:1'}}\n" for number in range(10))
    found = await wanted(f"services:\n{many}")
    assert len(found.services) == 8
    assert found.notes == (f"{COMPOSE}: at most 8 services run; left out: s8, s9.",)
