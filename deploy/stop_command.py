"""`bellhop stop --all` and `bellhop resume`: the kill switch from the shell, needing the database alone."""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from session.audit import Audit, AuditDown
from session.catalogue import Catalogue
from session.commands import Commands
from session.database import Database
from session.directory import Directory
from session.leases import Leases
from session.log import Log
from session.people import Person
from session.pulse import Pulse
from session.queue import Queue
from session.settings import Settings
from session.standstill import Standstill

_NO_QUEUE = "redis://localhost"
"""Stopping rings for no worker, so nobody is ever asked there."""


async def stop_all(settings: Settings, reason: str) -> int:
    """Everything is stopped; what the shell is told. Raises: DatabaseDown."""
    async with _standstill(settings) as standstill:
        try:
            turns = await standstill.stop(operator(), reason)
        except AuditDown as error:
            print(f"All work is stopped, but it is not on the audit: {error}")
            return 1
    stopped = "1 turn" if turns == 1 else f"{turns} turns"
    print(f"All work is stopped: {stopped}, and every box. Prompts wait until `bellhop resume`.")
    return 0


async def resume(settings: Settings) -> int:
    """Work may go on; what the shell is told. Raises: DatabaseDown."""
    async with _standstill(settings) as standstill:
        try:
            released = await standstill.resume(operator())
        except AuditDown as error:
            print(f"Work stays stopped: {error} Run `bellhop resume` again.")
            return 1
    print("Work goes on; what waited is taken up within seconds." if released else "Nothing was stopped.")
    return 0


def operator() -> Person:
    """Whoever runs the command, by the name of their account on this machine."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return Person(id="operator", name=name)


@asynccontextmanager
async def _standstill(settings: Settings) -> AsyncIterator[Standstill]:
    # Neither the catalogue nor Redis is needed, so that neither being broken keeps anybody from stopping.
    async with await Database.open(settings.database_address) as database:
        await database.migrate()
        async with Pulse(settings.redis_url or None) as pulse, Queue(_NO_QUEUE) as queue:
            log, leases = Log(database, pulse), Leases(database, settings.lease_seconds)
            directory = Directory(database, settings.default_role)
            commands = Commands(log, queue, directory, leases, Catalogue([]))
            yield Standstill(database, Audit(database), commands, "command")
