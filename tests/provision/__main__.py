"""`python -m tests.provision`: install what is missing where that is possible, and say what stays missing.

`--clean` instead ends the servers that died runs left behind.
"""

from __future__ import annotations

import argparse

from tests.provision import base_image, docker_engine, packages, parts, processes
from tests.provision.places import CACHE
from tests.provision.postgres import reachable_parent


def main() -> None:
    """Provision this machine for the tests; never fails for a missing part, the tests that need it tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.provision", description=__doc__)
    parser.add_argument("--clean", action="store_true", help="end servers that died test runs left behind")
    if parser.parse_args().clean:
        end_leftovers()
        return
    failed = packages.install_missing() if packages.can_install() else []
    for package in failed:
        print(f"could not install {package}")
    lacking = {name: reason for name in parts.PARTS if (reason := parts.missing(name))}
    for name, reason in lacking.items():
        print(f"missing {name}: {reason} (not tested: {parts.PARTS[name].covers})")
    if not lacking:
        print("Every real part the tests run against is here.")
    if "docker" not in lacking:
        _put_base_image_together()


def _put_base_image_together() -> None:
    from sandbox.environments.protocol import EnvironmentUnavailable

    try:
        base_image.ensure_once()
    except (processes.ServerDidNotStart, EnvironmentUnavailable) as error:
        print(f"no base image: {error}")


def end_leftovers() -> None:
    """End the servers of runs that died; those in use by a living run stay."""
    for parent in (CACHE / "valkey", CACHE / "registry", reachable_parent(CACHE / "postgres")):
        processes.remove_abandoned(parent)
    if docker_engine.can_be_started():
        docker_engine.stop_abandoned()


if __name__ == "__main__":
    main()
