"""The files people deploy with agree with the command and the settings."""

from __future__ import annotations

import configparser
import re
import subprocess

import yaml

from deploy import wiring
from session.settings import Settings
from tests.provision.places import CHECKOUT

DEPLOY = CHECKOUT / "deploy"
PROCESSES = ("bot", "web", "worker")
ALSO_READ = {"POSTGRES_PASSWORD", "BELLHOP_STATE", "DOCKER_GROUP"}


def test_the_compose_file_runs_every_process() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert {name: services[name]["command"] for name in ("migrate", *PROCESSES)} == {
        name: [name] for name in ("migrate", *PROCESSES)
    }
    for name in PROCESSES:
        unknown = set(services[name]["environment"]) - {field.upper() for field in Settings.model_fields}
        assert unknown == set()
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    with_engine = [name for name in services if "docker.sock" in str(services[name].get("volumes", ""))]
    assert with_engine == ["worker"]


def test_the_worker_sees_its_state_under_the_path_the_engine_knows() -> None:
    worker = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["worker"]
    home = worker["environment"]["BELLHOP_HOME"]
    assert f"{home}:{home}" in worker["volumes"]


def test_the_unit_serves_every_process() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(DEPLOY / "systemd" / "bellhop@.service")
    assert unit["Service"]["ExecStart"].endswith("/bellhop %i")
    named = re.findall(r"bellhop@(\w+)", (DEPLOY / "systemd" / "bellhop@.service").read_text())
    assert tuple(named) == PROCESSES
    assert all(callable(getattr(wiring, name)) for name in named)


def test_the_example_environment_names_settings() -> None:
    example = (DEPLOY / "bellhop.env.example").read_text()
    names = re.findall(r"^#?([A-Z][A-Z_]+)=", example, re.MULTILINE)
    assert len(names) > 10
    assert set(names) - {field.upper() for field in Settings.model_fields} == set()


def test_filled_in_settings_stay_out_of_commits_and_images() -> None:
    filled_in = ["deploy/bellhop.env", "deploy/repositories.yaml"]
    command = ["git", "-C", str(CHECKOUT), "check-ignore", *filled_in]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout.split() == filled_in
    left_out = (CHECKOUT / ".dockerignore").read_text().split()
    assert {"**/*.env", "deploy/repositories.yaml"} <= set(left_out)


def test_what_the_compose_file_takes_from_the_shell_is_said_nowhere_else() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+)", text)) == ALSO_READ
