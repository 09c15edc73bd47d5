"""What `bellhop doctor` finds out about the hosts that share the work, and the registry between them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from deploy.boxes import open_environment
from deploy.finding import Check, Finding
from sandbox.environments.protocol import EnvironmentUnavailable
from sandbox.environments.registry import KeepsAll, RegistryAway, RegistryRefused
from session.catalogue import Catalogue, CatalogueError
from session.database import Database, DatabaseDown
from session.hosts import Hosts
from session.settings import Settings

_LONG = timedelta(days=1)


async def _hosts(settings: Settings) -> Finding:
    """Who works, and whether what they must share is shared."""
    if missing := _not_shared(settings):
        return Finding("hosts", False, f"{missing}. docs/several-hosts.md says what hosts share")
    try:
        async with await Database.open(settings.database_address) as database:
            if not await database.migrated():
                return Finding("hosts", None, "not looked at: the tables are not there yet")
            hosts, now = await Hosts(database, settings.lease_seconds).all(), await database.clock()
    except DatabaseDown:
        return Finding("hosts", None, "not looked at: the database does not answer. Mend that first")
    told = [f"{host.name} ({_ago(now - host.seen_at)})" for host in hosts if now - host.seen_at < _LONG]
    if not told:
        return Finding("hosts", None, "no worker has given a sign of life in the last day")
    if len(told) > 1 and not settings.sandbox_registry:
        sentence = (
            f"{', '.join(told)} work, and SANDBOX_REGISTRY is empty: a session that goes on at another host "
            "loses its work there. Set it as docs/several-hosts.md says"
        )
        return Finding("hosts", False, sentence)
    return Finding("hosts", True, ", ".join(told))


async def _registry(settings: Settings) -> Finding:
    """Whether images can be shared."""
    if not settings.sandbox_registry:
        return Finding("registry", None, "not set up (SANDBOX_REGISTRY is empty): images stay on their host")
    try:
        environment = await open_environment(settings, prepare=False)
    except EnvironmentUnavailable:
        return Finding("registry", None, "not looked at: there is no sandbox. Mend that first")
    try:
        if environment.registry is None:
            wrong = f"SANDBOX_REGISTRY is set, and boxes of the {environment.name} backend cannot be shared"
            return Finding("registry", False, f"{wrong}. Start a Docker engine, or leave it empty")
        await environment.registry.check()
    except KeepsAll as error:
        return Finding("registry", None, str(error))
    except (RegistryAway, RegistryRefused) as error:
        return Finding("registry", False, str(error))
    finally:
        await environment.aclose()
    return Finding("registry", True, f"{settings.sandbox_registry} answers, and deletes what it is told to")


def _not_shared(settings: Settings) -> str:
    """What several hosts cannot do with; empty where all is well, or there is one host."""
    if not settings.sandbox_registry:
        return ""
    if settings.database_address.startswith("sqlite:"):
        return "SANDBOX_REGISTRY is set, and the database is a file of this host. Set DATABASE_URL"
    if not settings.redis_url:
        return "SANDBOX_REGISTRY is set, and the queue is this host's own. Set REDIS_URL"
    try:
        active = Catalogue.load(settings.repositories_file).active
    except CatalogueError:
        return ""
    local = [repository.slug for repository in active if repository.forge == "local"]
    if local:
        return f"SANDBOX_REGISTRY is set, and {', '.join(local)} has a forge on the disk of one host"
    return ""


def _ago(passed: timedelta) -> str:
    seconds = int(passed.total_seconds())
    if seconds < 120:
        return f"heard of {seconds} s ago"
    return f"not heard of for {seconds // 60} min"


HOST_CHECKS: Mapping[str, Check] = {"hosts": _hosts, "registry": _registry}
