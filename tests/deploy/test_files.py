"""The files people deploy with agree with the command and the settings."""

from __future__ import annotations

import configparser
import re
import subprocess
from dataclasses import dataclass

import yaml

from deploy import wiring
from deploy.boxes import BASE_IMAGE
from deploy.broker import clients
from session.settings import Settings
from tests.deploy.examples import DEPLOY, FILES, PROCESSES, named_in
from tests.provision.places import CHECKOUT

ALSO_READ = {"APPLICATION_PASSWORD", "POSTGRES_PASSWORD", "BELLHOP_STATE", "DOCKER_GROUP"}


@dataclass(frozen=True, slots=True)
class SecretTold:
    """A row of the table of secrets: what it is called, its settings, and which processes hold it."""

    name: str
    settings: tuple[str, ...]
    holders: set[str]


def secrets_told() -> list[SecretTold]:
    """What the threat model says about who holds what."""
    text = (CHECKOUT / "docs" / "threat-model.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| (`[A-Z][^|]+) \| ([^|]+) \| [^|]+ \|$", text, re.MULTILINE)
    return [
        SecretTold(
            name,
            tuple(re.findall(r"`([A-Z_]+)`", settings)),
            {process for process in PROCESSES if re.search(rf"\b{process}\b", holders)},
        )
        for name, settings, holders in rows
    ]


def test_the_compose_file_runs_every_process() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert {name: services[name]["command"] for name in PROCESSES} == {name: [name] for name in PROCESSES}
    for name in PROCESSES:
        unknown = set(services[name]["environment"]) - {field.upper() for field in Settings.model_fields}
        assert unknown == set()
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    with_engine = [name for name in services if "docker.sock" in str(services[name].get("volumes", ""))]
    assert with_engine == ["worker", "doctor"]


def test_only_what_makes_the_tables_connects_as_their_owner() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    roles = {
        name: service["environment"]["DATABASE_URL"].split("//")[1].split(":")[0]
        for name, service in services.items()
        if "DATABASE_URL" in service.get("environment", {})
    }
    application = "bellhop_app"
    assert services["migrate"]["command"] == ["migrate", "--role", application]
    assert roles == {"migrate": "bellhop", **dict.fromkeys((*PROCESSES, "doctor"), application)}
    assert application in (DEPLOY / "application_role.sh").read_text()


def test_nobody_but_the_broker_makes_a_socket_where_its_own_is() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    user, _, group = compose["services"]["broker"]["user"].partition(":")
    assert compose["volumes"]["broker"]["driver_opts"]["o"] == f"uid={user},gid={group},mode=0755"


def test_the_image_of_boxes_is_called_the_same_everywhere() -> None:
    assert named_in("worker")["SANDBOX_BASE_IMAGE"] == BASE_IMAGE
    for place in (CHECKOUT / "README.md", DEPLOY / "worker.env.example"):
        assert f"docker build -t {BASE_IMAGE} sandbox/images" in place.read_text()


def test_the_shared_directory_is_made_the_same_everywhere() -> None:
    for place in (CHECKOUT / "README.md", DEPLOY / "compose.yaml"):
        assert "install -d -o 10005 -g 10010 -m 3770 /var/lib/bellhop-state" in place.read_text()
    unit = (DEPLOY / "systemd" / "bellhop@.service").read_text()
    assert "install -d -o bellhop-broker -g bellhop-work -m 3770 /var/lib/bellhop-state" in unit


def test_the_worker_sees_its_state_under_the_path_the_engine_knows() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    home = services["worker"]["environment"]["BELLHOP_HOME"]
    for name in ("worker", "broker"):
        assert services[name]["environment"]["BELLHOP_HOME"] == home
        assert f"{home}:{home}" in services[name]["volumes"]


def test_each_service_is_a_user_of_its_own_with_its_own_settings() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert {name: services[name]["env_file"] for name in PROCESSES} == {
        name: ["common.env", f"{name}.env"] for name in PROCESSES
    }
    assert len({services[name]["user"] for name in PROCESSES}) == len(PROCESSES)
    assert services["migrate"]["env_file"] == ["common.env"]
    # The doctor sees all settings, so it must not run beside the others.
    assert services["doctor"]["env_file"] == ["common.env", "bot.env", "web.env", "worker.env", "broker.env"]
    assert services["doctor"]["profiles"] == ["doctor"]


def test_the_key_of_the_forge_app_is_a_file_that_the_broker_alone_is_given() -> None:
    path = named_in("broker")["GITHUB_APP_PRIVATE_KEY"]
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    given = {name for name in services if path in str(services[name].get("volumes"))}
    assert given == {"broker", "doctor"}
    mount = next(each for each in services["broker"]["volumes"] if path in str(each))
    assert (mount["source"], mount["target"], mount["read_only"]) == ("./app.pem", path, True)


def test_the_unit_serves_every_process() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(DEPLOY / "systemd" / "bellhop@.service")
    assert unit["Service"]["ExecStart"].endswith("/bellhop %i")
    named = re.findall(r"bellhop@(\w+)", (DEPLOY / "systemd" / "bellhop@.service").read_text())
    assert tuple(named) == PROCESSES
    assert all(callable(getattr(wiring, name)) for name in named)


def test_the_unit_gives_each_process_the_common_settings_and_its_own() -> None:
    unit = (DEPLOY / "systemd" / "bellhop@.service").read_text()
    files = re.findall(r"^EnvironmentFile=/etc/bellhop/(\S+)$", unit, re.MULTILINE)
    assert files == ["common.env", "%i.env"]
    assert "\nUser=bellhop-%i\n" in unit


def test_the_broker_knows_the_users_of_the_compose_file() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    users = {name: int(services[name]["user"].partition(":")[0]) for name in ("bot", "web", "worker")}
    told = Settings.load({"BROKER_CLIENTS": named_in("broker")["BROKER_CLIENTS"]})
    assert clients(told) == {uid: {name} for name, uid in users.items()}


def test_the_example_environments_name_settings() -> None:
    for file in FILES:
        assert set(named_in(file)) - {field.upper() for field in Settings.model_fields} == set()
        assert named_in(file) != {}


def test_the_docs_tell_of_every_secret_who_holds_it_in_the_examples() -> None:
    told = {name: secret.holders for secret in secrets_told() for name in secret.settings}
    given = {name: {file for file in FILES if name in named_in(file)} for name in told}
    everyone = set(PROCESSES)
    assert told == {name: everyone if files == {"common"} else files for name, files in given.items()}
    secret = {name.upper() for name, field in Settings.model_fields.items() if not field.repr}
    # Nothing reads the Discord token: there is no such platform yet.
    assert set(told) == secret - {"DISCORD_TOKEN"}


def test_the_readme_tells_the_same() -> None:
    readme = (CHECKOUT / "README.md").read_text()
    for process in PROCESSES:
        row = re.search(rf"^\| `bellhop {process}` \|(.*?)\|", readme, re.MULTILINE)
        assert row is not None
        told = {secret.name for secret in secrets_told() if secret.name in row[1]}
        own = [secret for secret in secrets_told() if secret.holders != set(PROCESSES)]
        assert told == {secret.name for secret in own if process in secret.holders}


def test_filled_in_settings_stay_out_of_commits_and_images() -> None:
    filled_in = [*(f"deploy/{file}.env" for file in FILES), "deploy/.env"]
    filled_in += ["deploy/repositories.yaml", "deploy/app.pem"]
    command = ["git", "-C", str(CHECKOUT), "check-ignore", *filled_in]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout.split() == filled_in
    left_out = (CHECKOUT / ".dockerignore").read_text().split()
    assert {"**/*.env", "**/*.pem", "deploy/repositories.yaml"} <= set(left_out)


def test_what_the_compose_file_takes_from_the_shell_is_said_nowhere_else() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+)", text)) == ALSO_READ
