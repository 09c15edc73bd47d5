"""`bellhop images`: which images there are, one built now, old ones taken away."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from deploy.boxes import open_environment
from deploy.work import BuildPlaces, image_builder
from sandbox.doors import WorkerDoors
from sandbox.images.reaping import ImageReaper
from session.broker import Broker
from session.catalogue import Catalogue, UnknownRepository
from session.database import Database
from session.halt import KillSwitch
from session.image_builds import ImageBuild, ImageBuilds
from session.locks import Locks
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
    """Builds a repository's image here and prints what that says; 1 when there is none in the end.

    Raises: DatabaseDown, CatalogueError, EnvironmentUnavailable.
    """
    try:
        async with _places(settings) as places:
            build = await image_builder(places).build(slug, _print)
    except UnknownRepository as error:
        print(f"bellhop: {error.sentence}", file=sys.stderr)
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
    async with _places(settings) as places:
        doors = WorkerDoors(places.broker, places.environment, settings.bellhop_home / "inbound")
        reaper = ImageReaper(
            places.environment,
            ImageBuilds(places.database),
            Locks(places.database),
            places.catalogue,
            doors,
            settings.bellhop_home / "inbound",
        )
        gone = await reaper.sweep()
    print("1 image is gone." if gone == 1 else f"{gone} images are gone.")
    return 0


@asynccontextmanager
async def _places(settings: Settings) -> AsyncIterator[BuildPlaces]:
    catalogue = Catalogue.load(settings.repositories_file)
    async with await Database.open(settings.database_address) as database:
        await database.migrate()
        environment = await open_environment(settings)
        try:
            async with Broker(settings.broker_address) as broker:
                switch = KillSwitch(database)
                yield BuildPlaces(settings, catalogue, database, broker, switch, environment)
        finally:
            await environment.aclose()


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
