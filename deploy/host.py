"""What a host has beside its engine: its boxes, images and snapshots, and who sees to them.

A worker works with all of it, `bellhop images` with what it needs at the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sandbox.broker.client import BrokerForge
from sandbox.bundles import Bundles
from sandbox.disk_room import DiskLimits
from sandbox.disk_watch import DiskWatch
from sandbox.doors import WorkerDoors
from sandbox.driver import Places
from sandbox.environments.protocol import Environment
from sandbox.images.builder import ImageBuilder
from sandbox.images.ready_images import ReadyImages
from sandbox.images.reaping import ImageReaper
from sandbox.images.running_build import BuilderParts
from sandbox.reaper import Reaper
from sandbox.session_boxes import SessionBoxes
from sandbox.snapshots import SnapshotKeeper
from sandbox.warm_pool.making import WarmParts
from sandbox.warm_pool.pool import WarmPool
from session.boxes import Boxes
from session.broker import Broker
from session.catalogue import Catalogue
from session.database import Database
from session.halt import KillSwitch
from session.image_builds import ImageBuilds
from session.leases import Leases
from session.locks import Locks
from session.log import Log
from session.pulse import Pulse
from session.settings import Settings
from session.snapshots import Snapshots
from session.warm_boxes import WarmBoxes
from session.warm_hints import WarmHints


@dataclass(frozen=True, slots=True)
class HostPlaces:
    """What it takes to build images on this host, and to see to its boxes."""

    settings: Settings
    catalogue: Catalogue
    database: Database
    broker: Broker
    switch: KillSwitch
    environment: Environment
    pulse: Pulse


@dataclass(frozen=True, slots=True)
class HostParts:
    """What sees to the boxes of this host."""

    forge: BrokerForge
    places: Places
    doors: WorkerDoors
    snapshots: SnapshotKeeper
    builds: ImageBuilds
    images: ReadyImages
    record: Boxes
    pool: WarmPool
    boxes: SessionBoxes
    unused: ImageReaper
    reaper: Reaper
    disk: DiskWatch


def host_parts(host: HostPlaces, log: Log, leases: Leases) -> HostParts:
    """All of them, for one process."""
    settings, environment, database = host.settings, host.environment, host.database
    forge = BrokerForge(host.broker, settings.bellhop_home / "exchange")
    places = Places.under(settings.bellhop_home)
    doors = WorkerDoors(host.broker, environment, places.inbound)
    snapshots = SnapshotKeeper(environment, log, Snapshots(database))
    builds, locks = ImageBuilds(database), Locks(database)
    images = ReadyImages(environment, builds)
    limits = DiskLimits.of(settings)
    waiting, hints = WarmBoxes(database), WarmHints(database, host.pulse)
    warm = WarmParts(environment, forge, doors, images, builds, waiting, hints, places.inbound, limits)
    pool = WarmPool(warm, host.catalogue, locks, host.switch, settings.warm_boxes)
    record = Boxes(database)
    boxes = SessionBoxes(environment, record, pool)
    unused = ImageReaper(environment, builds, locks, host.catalogue, doors, places.inbound)
    reaper = Reaper(environment, boxes, pool, log, leases, doors, snapshots, places.inbound, unused)
    disk = DiskWatch(environment, boxes, log, reaper, pool, snapshots, unused, limits)
    return HostParts(
        forge, places, doors, snapshots, builds, images, record, pool, boxes, unused, reaper, disk
    )


def image_builder(host: HostPlaces) -> ImageBuilder:
    """What builds images of repositories on this host."""
    settings = host.settings
    own = Places.under(settings.bellhop_home)
    return ImageBuilder(
        BuilderParts(
            environment=host.environment,
            forge=BrokerForge(host.broker, settings.bellhop_home / "exchange"),
            doors=WorkerDoors(host.broker, host.environment, own.inbound),
            bundles=Bundles(own.bundles),
            builds=ImageBuilds(host.database),
            locks=Locks(host.database),
            switch=host.switch,
            catalogue=host.catalogue,
            inbound=own.inbound,
            lease=timedelta(seconds=settings.lease_seconds),
            limits=DiskLimits.of(settings),
        )
    )
