"""The decisions about a box in which a repository's image is built, which is no session's and no person's."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.broker.door.gate import DATABASE_DOWN, FORBIDDEN, UNAVAILABLE, Brake, Denied, Gate
from sandbox.broker.door.judgement import Judgement
from sandbox.broker.door.parts import DoorParts
from sandbox.broker.door.targets import Endpoint
from session.catalogue import UnknownRepository
from session.database import DatabaseDown
from session.halt import Halted

SET_UP = "the packages of its set-up"
"""What a build reads of strangers, from its first moment: it cannot know what its commands will fetch."""


class BuildGate(Gate):
    """The repository's own egress policy, and nothing that people allowed: nobody is there to be asked.

    Nothing but reading leaves such a box while the repository is private, since what runs in it was written
    by strangers.
    """

    def __init__(
        self,
        parts: DoorParts,
        brake: Brake,
        repository: str,
        box: str,
        package_hosts: Mapping[str, tuple[str, ...]],
    ) -> None:
        super().__init__(parts, brake, "", box, package_hosts)
        self._repository = repository
        self._actor = f"build {box}"
        self._particulars = {"repository": repository}

    async def judgement(self, endpoint: Endpoint, method: str, path: str) -> Judgement:
        """The repository's policy as it stands now, for that request. Raises: Denied."""
        try:
            await self.brake.check()
            repository = self._parts.catalogue.get(self._repository)
        except Halted as halted:
            await self.audit("refused", endpoint, method, path, "halted")
            raise Denied(UNAVAILABLE, str(halted)) from halted
        except DatabaseDown as error:
            raise Denied(UNAVAILABLE, DATABASE_DOWN) from error
        except UnknownRepository as error:
            raise Denied(FORBIDDEN, f"Nothing may leave this box: {error}") from error
        return Judgement(repository, self.package_hosts, untrusted=(SET_UP,), askable=False)

    async def taint(self, judgement: Judgement, host: str) -> None:
        """A build is held to have read from the start, and has no log to say so in."""
