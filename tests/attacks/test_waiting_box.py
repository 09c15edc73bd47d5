"""Something in a box that waits for its session uses the door before anybody answers for what it does.

Asset: whatever the repository's policy lets out, and the secrets its boxes may read. Attacker: a program that
a set-up left in the repository's image and that the box starts. Path: the door of a box that was made before
its session: now, and over a connection that is kept open until the box is somebody's. Control: such a door
refuses everything, whatever the policy says, and holds no secrets; it is served anew when it is given away.
"""

from __future__ import annotations

import asyncio

from tests.attacks.frame import Control, refuted
from tests.sandbox.door.relay import relay
from tests.sandbox.door.stage import HOST, SESSION, stage

CONTROLS = (
    Control(
        "sandbox/broker/door/doors.py",
        (("    if record.waits:\n        return WaitingGate", "    if False:\n        return WaitingGate"),),
    ),
)
PROOF = "test_a_box_that_waits"

WAITING = "warm-6e0b"


async def test_a_box_that_waits_reaches_nothing_and_keeps_no_way_open() -> None:
    async with (
        stage(tls=False, secrets={"DB": "hunter2"}, box_secrets=("DB",), idle_seconds=600) as s,
        asyncio.timeout(60),
    ):
        waiting = await s.doors.open_waiting("acme/billing", WAITING)
        ask = f"GET {s.url('/leak', scheme='http')} HTTP/1.1\r\nHost: {HOST}:{s.upstream.port}\r\n\r\n"
        async with relay(waiting / "door.sock") as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(ask.encode())
                answer = await reader.readline()
                refuted(b" 403 " in answer, f"a box of no session got {answer!r} for its request")
                refuted(not list((waiting / "secrets").iterdir()), "secrets lay in a box of no session")
                await s.doors.assign(SESSION, WAITING, {}, by="worker")
                writer.write(ask.encode())
                rest = await reader.read()
                refuted(b"HTTP/1.1 200" not in rest, "a connection from before is the session's")
            finally:
                writer.close()
