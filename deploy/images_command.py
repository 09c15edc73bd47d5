"""`bellhop images`: which images there are, one built now, old ones taken away."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from deploy.boxes import open_environment
from deploy.host import HostParts, HostPlaces, host_parts, image_builder
from sandbox.environments.protocol import SandboxFailed
from session.broker import Broker
from session.catalogue import Catalogue, UnknownRepository
from session.database import Database
from session.halt import KillSwitch
from session.image_builds import ImageBuild, ImageBuilds
from session.leases import Leases
from session.log import Log
from session.pulse import Pulse
from session.settings import Settings

_BUSY = "Nothing was built: another worker builds this image at the moment, or all work is stopped."


async def list_images(settings: Settings) -> int:
    """Prints each repository with its image. Raises: DatabaseDown, CatalogueError."""
    catalogue = Catalogue.load(settings.repositories_file)
    async with await Database.open(settings.database_address) as database:
        await database.migrate()
        builds, now = ImageBuilds(database), await database.clock()
        for repository in catalogue.active:
            print(repository.slug)
            for line in _lines(await builds.of(repository.slug), now):
                print(f"  {line}")
    return 0


async def build_image(settings: Settings, slug: str) -> int:
    """Builds a repository's image here, after making room where that is short, and prints what was removed
    and what the build says; 1 when there is no image in the end.

    Raises: DatabaseDown, CatalogueError, EnvironmentUnavailable.
    """
    removed: list[str] = []
    try:
        async with _host(settings) as host:
            host.catalogue.get(slug)
            # What that did not help the build finds out.
            await _parts(host).disk.make_room(removed.append)
            if removed:
                print(f"Removed to make room: {', '.join(removed)}.")
            build = await image_builder(host).build(slug, _print)
    except UnknownRepository as error:
        print(f"bellhop: {error.sentence}", file=sys.stderr)
        return 1
    except SandboxFailed as error:
        print(f"bellhop: {error}", file=sys.stderr)
        return 1
    if build is None:
        print(f"bellhop: {_BUSY}", file=sys.stderr)
        return 1
    if build.state != "ready":
        print(f"bellhop: {build.cause}", file=sys.stderr)
        return 1
    print(f"{build.reference} is ready ({_size(build.size_bytes)}).")
    return 0


async def prune_images(settings: Settings) -> int:
    """Takes away the images of this host that nobody needs. Raises: DatabaseDown, CatalogueError,
    EnvironmentUnavailable."""
    async with _host(settings) as host:
        gone = await _parts(host).unused.sweep()
    print("1 image is gone." if gone == 1 else f"{gone} images are gone.")
    return 0


@asynccontextmanager
async def _host(settings: Settings) -> AsyncIterator[HostPlaces]:
    catalogue = Catalogue.load(settings.repositories_file)
    async with await Database.open(settings.database_address) as database:
        await database.migrate()
        environment = await open_environment(settings)
        try:
            async with Broker(settings.broker_address) as broker, Pulse(None) as pulse:
                switch = KillSwitch(database)
                yield HostPlaces(settings, catalogue, database, broker, switch, environment, pulse)
        finally:
            await environment.aclose()


def _parts(host: HostPlaces) -> HostParts:
    leases = Leases(host.database, host.settings.lease_seconds)
    return host_parts(host, Log(host.database, host.pulse), leases)


def _lines(builds: list[ImageBuild], now: datetime) -> list[str]:
    """What is to be said of a repository's builds, the newest first."""
    newest = builds[0] if builds else None
    ready = next((build for build in builds if build.state == "ready"), None)
    if ready is None:
        lines = ["no image: sessions are set up from the beginning"]
    else:
        made = f"commit {ready.made.sha[:12]}, {_age(now - ready.started_at)}, {_size(ready.size_bytes)}"
        lines = [f"{ready.reference} ({made})"]
    if newest is not None and newest.state == "building":
        lines.append(f"one is being built, for {_age(now - newest.started_at).removesuffix(' ago')}")
    if newest is not None and newest.state == "failed":
        lines.append(f"the newest could not be built: {' '.join(newest.cause.split())}")
    return lines


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _age(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days ago"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1024**2:.0f} MB" if size_bytes < 1024**3 else f"{size_bytes / 1024**3:.1f} GB"
