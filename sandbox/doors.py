"""The doors of this host's boxes, as a worker sees them: asked for before a box, closed with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from sandbox.broker.client import ask
from sandbox.broker.door.doors import WAITING_PREFIX
from sandbox.broker.door.parts import EgressRefused
from sandbox.broker.door_wire import (
    DoorIsOpen,
    OfBox,
    OpenBuildDoor,
    OpenDoor,
    OpenWaitingDoor,
    Refusals,
    Refused,
)
from sandbox.environments.protocol import Environment, EnvironmentUnavailable, SandboxFailed, SandboxSpec
from sandbox.environments.runner_client import RunnerError
from sandbox.package_hosts import TOOL_SECONDS, ToolsLate, package_hosts
from session.broker import Broker, Nothing
from session.catalogue import Repository
from session.policy import EgressRule

PLACEHOLDER = "bellhop-placeholder-"
PRESETS_OF_PACKAGES = frozenset({"python", "npm", "debian"})
PROBE_SESSION = "package-probe"


@dataclass(frozen=True, slots=True)
class Door:
    """A box's way out: its directory on this host, and the secrets that lie in it for the box."""

    directory: Path
    secrets: tuple[str, ...]


class WorkerDoors:
    """Asks the broker for doors. Every method raises BrokerUnavailable while it is away.

    `scratch` is a directory for the inbound folder of the box that is asked about its package indexes.
    """

    def __init__(self, broker: Broker, environment: Environment, scratch: Path) -> None:
        self._broker = broker
        self._environment = environment
        self._scratch = scratch
        self._hosts: dict[str | None, Mapping[str, tuple[str, ...]]] = {}
        self._probing = asyncio.Lock()

    async def open(self, session_id: str, box: str, repository: Repository, image: str | None = None) -> Door:
        """The door for that box of a session. `image` is one that the company chose (None: the backend's
        base): what its package managers are set to is what the presets stand for. The door of a box that
        waited becomes the session's.

        Raises: EnvironmentUnavailable, SandboxFailed; DoorTaken for that of a box that waited for others.
        """
        hosts = await self._hosts_of(repository, image)
        asked = OpenDoor(session_id=session_id, box=box, package_hosts=dict(hosts))
        operation = "door.assign" if box.startswith(WAITING_PREFIX) else "door.open"
        opened = await ask(self._broker, operation, asked, DoorIsOpen)
        return Door(Path(opened.directory), opened.secrets)

    async def open_for_build(self, box: str, repository: Repository) -> Door:
        """The door for the box in which the repository's image is built.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        hosts = await self._hosts_of(repository, repository.image or None)
        asked = OpenBuildDoor(repository=repository.slug, box=box, package_hosts=dict(hosts))
        opened = await ask(self._broker, "door.open_for_build", asked, DoorIsOpen)
        return Door(Path(opened.directory), opened.secrets)

    async def open_waiting(self, box: str, repository: Repository, image: str | None = None) -> Path:
        """The directory of the door for a box that waits for a session of the repository. `image` as for
        `open`: its presets are looked up now, so that the session need not wait for them.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        await self._hosts_of(repository, image)
        asked = OpenWaitingDoor(repository=repository.slug, box=box)
        return Path((await ask(self._broker, "door.open_waiting", asked, DoorIsOpen)).directory)

    async def close(self, box: str) -> None:
        """The box's door is gone."""
        await ask(self._broker, "door.close", OfBox(box=box), Nothing)

    async def refusals(self, box: str, after: int) -> tuple[EgressRefused, ...]:
        """What the box's door refused since that number."""
        return (await ask(self._broker, "door.refusals", Refused(box=box, after=after), Refusals)).refused

    async def _hosts_of(self, repository: Repository, image: str | None) -> Mapping[str, tuple[str, ...]]:
        if any(entry in PRESETS_OF_PACKAGES for entry in repository.egress if isinstance(entry, str)):
            return await self._package_hosts(image)
        return {}

    async def _package_hosts(self, image: str | None) -> Mapping[str, tuple[str, ...]]:
        """What the package presets stand for in boxes of that image, asked of one that no agent ever saw."""
        async with self._probing:
            if image not in self._hosts:
                self._hosts[image] = await self._asked(image)
            return self._hosts[image]

    async def _asked(self, image: str | None) -> Mapping[str, tuple[str, ...]]:
        name = f"probe-{uuid4().hex[:12]}"
        spec = SandboxSpec(PROBE_SESSION, name, image, self._scratch / name)
        try:
            async with await self._environment.open(spec) as box:
                return await package_hosts(box.runner)
        except ToolsLate as error:
            # Not remembered: taken for an answer, it would keep every box from its packages.
            raise EnvironmentUnavailable(
                f"A new box did not say within {TOOL_SECONDS:g} seconds where its package indexes are. This "
                "host is too busy at the moment; give it fewer turns at once (WORKER_CONCURRENCY) if that "
                "lasts."
            ) from error
        except RunnerError as error:
            raise SandboxFailed(f"a new box could not be asked for its package indexes: {error}") from error
        finally:
            await self._environment.remove(name)


def placeholders(repository: Repository) -> Mapping[str, str]:
    """What a box of that repository has in its environment in place of credentials: names that the door
    knows."""
    rules = [entry for entry in repository.egress if isinstance(entry, EgressRule)]
    used = [rule.credential.secret for rule in rules if rule.credential is not None]
    return {name: f"{PLACEHOLDER}{name}" for name in used}
