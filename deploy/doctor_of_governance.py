"""What `bellhop doctor` finds out about the broker, the ways out of boxes, the audit and the kill switch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from deploy.broker import clients, networks, trust
from deploy.finding import Check, Finding
from sandbox.broker.presence import who_am_i
from session.audit import Audit
from session.broker import Broker, BrokerDown, BrokerRefused
from session.database import Database, DatabaseDown
from session.halt import KillSwitch
from session.settings import Settings, SettingsError

_NO_TABLES = "not looked at: the tables are not there, or of an earlier version. Run `bellhop migrate` first"
_NO_DATABASE = "not looked at: the database does not answer. Mend that first"


async def _broker(settings: Settings) -> Finding:
    path = settings.broker_address
    try:
        known = clients(settings)
    except SettingsError as error:
        return Finding("broker", False, str(error))
    if not path.exists():
        start = "`bellhop up` runs it" if settings.embedded else "start `bellhop broker`, then ask again"
        return Finding("broker", None, f"does not run: there is no {path}; {start}")
    async with Broker(path) as broker:
        try:
            parts = await who_am_i(broker)
        except BrokerDown:
            return Finding("broker", False, _no_answer(path))
        except BrokerRefused as error:
            return Finding("broker", False, f"{path} answers, but {str(error).rstrip('.')}. Start it anew")
    sentence = f"answers at {path}, and takes this user for {', '.join(sorted(parts))}"
    missing = {"bot", "web", "worker"} - {part for each in known.values() for part in each}
    if missing and not settings.embedded:
        names = ", ".join(sorted(missing))
        sentence += f". BROKER_CLIENTS names nobody for {names}: the broker's own user and root stand for all"
    return Finding("broker", True, sentence)


def _no_answer(path: Path) -> str:
    return (
        f"{path} is there, but nothing answers user {os.geteuid()}. See whether `bellhop broker` runs; if it "
        "does, let its BROKER_CLIENTS name this user, or run the doctor as the broker's user"
    )


async def _egress(settings: Settings) -> Finding:
    try:
        allowed = networks(settings)
        trust(settings)
    except SettingsError as error:
        return Finding("egress", False, str(error))
    if not allowed:
        return Finding("egress", True, "boxes reach public addresses only (EGRESS_NETWORKS is empty)")
    shown = ", ".join(str(network) for network in allowed)
    return Finding("egress", True, f"boxes may also reach {shown}, where a policy allows the host")


async def _anchors(settings: Settings) -> Finding:
    file = settings.anchors_file
    if not _writable(file):
        return Finding(
            "anchors",
            False,
            f"{file} cannot be written by user {os.geteuid()}, and the audit is not vouched for. Let the "
            "broker's user write there, or let AUDIT_ANCHORS name another place; run the doctor as that user",
        )
    if settings.audit_anchors is None and not settings.embedded:
        return Finding("anchors", True, f"{file}. Better on another disk: set AUDIT_ANCHORS")
    return Finding("anchors", True, str(file))


def _writable(file: Path) -> bool:
    if file.exists():
        return file.is_file() and os.access(file, os.W_OK)
    # The broker makes directories that are missing: the nearest one that is there decides.
    nearest = next(parent for parent in file.absolute().parents if parent.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


async def _audit(settings: Settings) -> Finding:
    try:
        async with await Database.open(settings.database_address) as database:
            if not await database.migrated():
                return Finding("audit", None, _NO_TABLES)
            head = await Audit(database).head()
    except DatabaseDown:
        return Finding("audit", None, _NO_DATABASE)
    if head is None:
        return Finding("audit", True, "empty so far")
    when = f"{head.at:%Y-%m-%d %H:%M:%S} UTC"
    return Finding(
        "audit", True, f"its newest row is {head.id:,}, of {when}; `bellhop audit verify` checks it"
    )


async def _switch(settings: Settings) -> Finding:
    try:
        async with await Database.open(settings.database_address) as database:
            if not await database.migrated():
                return Finding("kill switch", None, _NO_TABLES)
            halt = await KillSwitch(database).halt()
    except DatabaseDown:
        return Finding("kill switch", None, _NO_DATABASE)
    if halt is None:
        return Finding("kill switch", True, "work may go on")
    why = f" ({halt.reason})" if halt.reason else ""
    stopped = f"{halt.by} stopped all work at {halt.at:%Y-%m-%d %H:%M} UTC{why}"
    sentence = f"{stopped}. Once it may go on: `bellhop resume`"
    return Finding("kill switch", False, sentence)


GOVERNANCE_CHECKS: Mapping[str, Check] = {
    "broker": _broker,
    "egress": _egress,
    "anchors": _anchors,
    "audit": _audit,
    "kill switch": _switch,
}
