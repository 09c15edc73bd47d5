"""Code in a service beside a box reaches for anything outside of the box.

Asset: the host's services, other boxes, the cloud's metadata, the company's network, the internet.
Attacker: whoever made the service's image, or code in the box that made the service run something.
Path: as in test_no_network.py, from the service's container; the host's file system.
Control: the service is in the network namespace of its box, where there is loopback alone, and sees nothing
of the host.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from docker import DockerClient

from sandbox.environments.docker_engine import DockerEnvironment
from sandbox.environments.service import ServiceSpec
from tests.attacks.frame import Control, refuted
from tests.attacks.outside import own_addresses, program, sink
from tests.attacks.test_no_network import ABSTRACT, SOCKETS, own_addresses6, unix_listeners
from tests.sandbox.environments.boxes import Bench, service_image

pytestmark = pytest.mark.needs("docker")
CONTROLS = (
    Control(
        "sandbox/environments/hardening.py",
        (('"network_mode": f"container:{box_id}"', '"network_mode": "host"'),),
    ),
)
PROOF = "test_nothing_outside"
RUN = 'printf %s "$TOLD" >/tmp/told.json; exec python3 -c "$CODE" /tmp/told.json'


@pytest.fixture
def bench(docker_environment: DockerEnvironment, bellhop_home: Path) -> Bench:
    return Bench(docker_environment, bellhop_home)


async def test_nothing_outside_is_reached_from_a_service(
    bench: Bench, docker_host: str, base_image: str
) -> None:
    met: list[str] = []
    async with AsyncExitStack() as stack:
        engine = stack.enter_context(closing(DockerClient(base_url=docker_host)))
        image = stack.enter_context(service_image(engine, base_image))
        outside = await stack.enter_async_context(sink())
        bench.directory.chmod(0o755)
        path = bench.directory / "host.sock"
        await stack.enter_async_context(unix_listeners(path, met))
        box = await stack.enter_async_context(bench.box())
        await bench.environment.open_service(box.name, ServiceSpec("store", image))
        told = {
            "addresses": own_addresses(),
            "addresses6": own_addresses6(),
            "ports": [outside.port, 22],
            "sockets": [
                str(path),
                str(box.runner.socket_path),
                *SOCKETS,
                docker_host.removeprefix("unix://"),
            ],
            "abstract": [ABSTRACT],
            "name": "example.com",
        }
        (service,) = engine.containers.list(filters={"ancestor": image})
        environment = {"TOLD": json.dumps(told), "CODE": program("wanderer")}
        done = await asyncio.to_thread(service.exec_run, ["sh", "-c", RUN], environment=environment)
        assert done.exit_code == 0, done.output
        assert isinstance(done.output, bytes)
        outcomes: dict[str, str] = json.loads(done.output.splitlines()[-1])
    assert len(outcomes) > 30
    reached = [name for name, end in outcomes.items() if end == "reached"]
    heard = [*met, *([f"{outside.met} callers at port {outside.port}"] if outside.met else [])]
    refuted(not reached and not heard, f"code in the service reached {', '.join([*reached, *heard])}")
