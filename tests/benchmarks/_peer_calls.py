"""Runs in the peers' own environment: `python -I _peer_calls.py <image> <server directory> <port>`.

A line of standard input asks, a line of standard output answers: {"peer": "all"} which cannot run here,
{"peer": name, "count": n} for the seconds of so many calls. What the peers print goes to standard error.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

Calls = Callable[[], Awaitable[bool]]


class Boxes:
    """A container of each peer, and how a call is made in it; `missing` says why one has none."""

    def __init__(self, image: str, server: str, port: int) -> None:
        self._image, self._server, self._port = image, server, port
        self._mini: Any = None
        self._rex: Any = None
        self.calls: dict[str, Calls] = {}
        self.missing: dict[str, str] = {}

    async def start(self) -> None:
        """Every peer that can be started is."""
        session, execute = "SWE-ReX in a session", "SWE-ReX with a process of its own"
        for names, start in ((("mini-swe-agent",), self._start_mini), ((session, execute), self._start_rex)):
            try:
                self.calls |= dict(zip(names, await start(), strict=True))
            except Exception as error:  # noqa: BLE001 - whatever other people's code raises is the reason
                self.missing |= dict.fromkeys(names, f"{type(error).__name__}: {error}"[:200])

    async def stop(self) -> None:
        """Their containers are gone."""
        if self._rex is not None:
            await self._rex.stop()
        if self._mini is not None:
            remove = ["docker", "rm", "--force", self._mini.container_id]
            self._mini.container_id = None
            await asyncio.to_thread(subprocess.run, remove, check=True, stdout=subprocess.DEVNULL)

    async def _start_mini(self) -> list[Calls]:
        peer = importlib.import_module("minisweagent.environments.docker")
        self._mini = mini = peer.DockerEnvironment(image=self._image, cwd="/workspace")

        async def execute() -> bool:
            return bool(mini.execute({"command": "true"})["returncode"] == 0)

        return [execute]

    async def _start_rex(self) -> list[Calls]:
        peer = importlib.import_module("swerex.deployment.docker")
        words = importlib.import_module("swerex.runtime.abstract")
        path = "/opt/peer/bin:/usr/local/bin:/usr/bin:/bin"
        own = {"PYTHONPATH": "/opt/peer/packages", "PATH": path, "PEER_PORT": str(self._port)}
        options = [option for name, value in own.items() for option in ("--env", f"{name}={value}")]
        self._rex = peer.DockerDeployment(
            image=self._image,
            pull="never",
            port=self._port,
            # The host's network, because an engine for tests may have no bridge that a port is published on.
            docker_args=["--network", "host", "--volume", f"{self._server}:/opt/peer:ro", *options],
        )
        await self._rex.start()
        runtime = self._rex.runtime
        await runtime.create_session(words.CreateBashSessionRequest())

        async def in_session() -> bool:
            return bool((await runtime.run_in_session(words.BashAction(command="true"))).exit_code == 0)

        async def execute() -> bool:
            return bool((await runtime.execute(words.Command(command="true", shell=True))).exit_code == 0)

        return [in_session, execute]


async def seconds_of(call: Calls, count: int) -> list[float]:
    """What each of so many calls takes. Raises: RuntimeError when one fails."""
    found = []
    for _ in range(count):
        started = time.perf_counter()
        if not await call():
            raise RuntimeError("`true` failed")
        found.append(time.perf_counter() - started)
    return found


async def main() -> None:
    """Answers until there is no question any more."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    boxes = Boxes(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    await boxes.start()
    try:
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked = json.loads(line)
            if asked["peer"] == "all":
                answer: dict[str, object] = {"missing": boxes.missing}
            else:
                answer = {"seconds": await seconds_of(boxes.calls[asked["peer"]], asked["count"])}
            answers.write(json.dumps(answer) + "\n")
    finally:
        await boxes.stop()


if __name__ == "__main__":
    os.environ["MSWEA_SILENT_STARTUP"] = "1"
    asyncio.run(main())
