"""What is asked of a registry besides the engine: whether it knows us, and to delete."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from sandbox.environments.docker_connection import Engine
from sandbox.environments.docker_registry import NOTHING, DockerRegistry
from sandbox.environments.registry import KeepsAll, RegistryAway, RegistryRefused
from tests.emulators.registry import LOGIN, registry_with_tokens
from tests.provision.registry import RegistryServer


def asked(address: str, logins: Path) -> DockerRegistry:
    return DockerRegistry(Engine("unix:///nowhere/docker.sock"), address, "0a1b2c3d", logins)


async def test_a_registry_that_deletes_is_fine_and_one_that_does_not_is_named(
    registry: RegistryServer, tmp_path: Path
) -> None:
    logins = registry.credentials / "config.json"
    await asked(registry.address, logins).check()
    nobody = tmp_path / "config.json"
    nobody.write_text("{}")
    with pytest.raises(RegistryRefused, match="does not let us in: `docker login 127"):
        await asked(registry.address, nobody).check()
    registry.stop()
    with pytest.raises(RegistryAway, match="does not answer"):
        await asked(registry.address, logins).check()

    registry.deletes = False
    registry.start()
    keeps = asked(registry.address, logins)
    with pytest.raises(KeepsAll, match="REGISTRY_STORAGE_DELETE_ENABLED=true"):
        await keeps.check()
    # Whoever tidies up is not stopped by it.
    await keeps.remove(f"{registry.address}/images@{NOTHING}")


async def test_a_token_is_fetched_where_the_registry_sends_us_for_one(tmp_path: Path) -> None:
    with registry_with_tokens() as (host, told):
        logins = tmp_path / "config.json"
        auth = base64.b64encode(LOGIN.encode()).decode()
        logins.write_text(json.dumps({"auths": {host: {"auth": auth}}}))
        await asked(f"{host}/bellhop", logins).remove(f"{host}/bellhop/snapshots@{NOTHING}")
        assert told == [
            "repository:bellhop/snapshots:pull,delete",
            f"/v2/bellhop/snapshots/manifests/{NOTHING}",
        ]
