"""The decisions about a box that was made before its session: until it has one, nothing leaves it."""

from __future__ import annotations

from typing import NoReturn

from sandbox.broker.door.gate import DATABASE_DOWN, FORBIDDEN, UNAVAILABLE, Brake, Denied, Gate
from sandbox.broker.door.judgement import Judgement
from sandbox.broker.door.parts import DoorParts
from sandbox.broker.door.targets import Endpoint
from session.database import DatabaseDown
from session.halt import Halted

WAITS = "this box waits for a session, and until it belongs to one nothing may leave it"


class WaitingGate(Gate):
    """No to everything, whatever the repository's policy says: there is nobody in whose name it would be.

    The door of a box that is taken is served by a gate of its session, on new connections.
    """

    def __init__(self, parts: DoorParts, brake: Brake, repository: str, box: str) -> None:
        super().__init__(parts, brake, "", box, {})
        self._actor = f"waiting box {box}"
        self._particulars = {"repository": repository}

    async def judgement(self, endpoint: Endpoint, method: str, path: str) -> Judgement:
        """Never. Raises: Denied."""
        try:
            await self.brake.check()
        except Halted as halted:
            await self._refuse(endpoint, method, path, "halted", UNAVAILABLE, str(halted))
        except DatabaseDown as error:
            raise Denied(UNAVAILABLE, DATABASE_DOWN) from error
        sentence = f"The door refused {method} {endpoint.url}: {WAITS}."
        await self._refuse(endpoint, method, path, WAITS, FORBIDDEN, sentence)

    async def _refuse(
        self, endpoint: Endpoint, method: str, path: str, why: str, status: int, sentence: str
    ) -> NoReturn:
        await self.audit("refused", endpoint, method, path, why)
        raise Denied(status, sentence)
