"""The tables about boxes: their images, their snapshots, whose they are, and the hosts that have them."""

from __future__ import annotations

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model


class ImageBuildRow(Model):
    """One build of a repository's image, from its beginning to its end."""

    id = fields.CharField(max_length=64, primary_key=True)
    repository = fields.CharField(max_length=255)
    place = fields.CharField(max_length=255)
    state = fields.CharField(max_length=16)
    sha = fields.CharField(max_length=64)
    fingerprint = fields.CharField(max_length=16)
    recipe = fields.CharField(max_length=16)
    base = fields.CharField(max_length=255)
    reference = fields.TextField()
    layers = fields.IntField(default=0)
    size_bytes = fields.BigIntField(default=0)
    cause = fields.TextField()
    passing = fields.BooleanField(default=False)
    log = fields.TextField()
    started_at = fields.DatetimeField()
    finished_at = fields.DatetimeField(null=True)
    # When the image that this one goes back to was last built from its base.
    whole_at = fields.DatetimeField(null=True)
    # What the image is called in the registry; empty while it is not there.
    shared = fields.CharField(max_length=255, db_default="")

    class Meta:
        table = "image_builds"
        indexes = (Index(fields=("repository", "place", "started_at"), name="image_builds_of_repository"),)


class SnapshotRow(Model):
    """A copy of a session's box, in the engine of one host."""

    reference = fields.CharField(max_length=255, primary_key=True)
    session_id = fields.CharField(max_length=64)
    place = fields.CharField(max_length=255)
    repository = fields.CharField(max_length=255)
    turns = fields.IntField()
    checkpoint = fields.CharField(max_length=64)
    runner = fields.IntField()
    taken_at = fields.DatetimeField()
    # What the snapshot is called in the registry; empty while it is not there.
    shared = fields.CharField(max_length=255, db_default="")

    class Meta:
        table = "snapshots"
        indexes = (
            Index(fields=("session_id",), name="snapshots_of_session"),
            Index(fields=("place", "taken_at"), name="snapshots_at_place"),
        )


class SessionBoxRow(Model):
    """The box that a session has, and the place where it is."""

    session_id = fields.CharField(max_length=64, primary_key=True)
    box = fields.CharField(max_length=64)
    place = fields.CharField(max_length=255)
    since = fields.DatetimeField()

    class Meta:
        table = "session_boxes"
        indexes = (Index(fields=("place", "box"), name="session_boxes_at_place"),)


class WarmBoxRow(Model):
    """A box that waits for a session."""

    box = fields.CharField(max_length=64, primary_key=True)
    place = fields.CharField(max_length=255)
    repository = fields.CharField(max_length=255)
    fit = fields.CharField(max_length=64)
    basis = fields.CharField(max_length=64)
    state = fields.CharField(max_length=16)
    since = fields.DatetimeField()

    class Meta:
        table = "warm_boxes"
        indexes = (Index(fields=("place", "repository"), name="warm_boxes_at_place"),)


class WarmHintRow(Model):
    """A repository of which somebody is about to ask something."""

    repository = fields.CharField(max_length=255, primary_key=True)
    ends_at = fields.DatetimeField()

    class Meta:
        table = "warm_hints"


class LeftBoxRow(Model):
    """A box whose session has gone on in another."""

    id = fields.CharField(max_length=64, primary_key=True)
    place = fields.CharField(max_length=255)
    box = fields.CharField(max_length=64)
    session_id = fields.CharField(max_length=64)

    class Meta:
        table = "left_boxes"
        indexes = (Index(fields=("place",), name="left_boxes_at_place"),)


class HostRow(Model):
    """A place with a worker, and when that was last heard of."""

    place = fields.CharField(max_length=255, primary_key=True)
    name = fields.CharField(max_length=255)
    seen_at = fields.DatetimeField()

    class Meta:
        table = "hosts"


class SavedWorkRow(Model):
    """A ref of a session's quarantine, for the brokers of all hosts."""

    id = fields.CharField(max_length=64, primary_key=True)
    session_id = fields.CharField(max_length=64)
    repository = fields.CharField(max_length=255)
    reference = fields.CharField(max_length=255)
    sha = fields.CharField(max_length=64)
    bundle = fields.BinaryField()
    saved_at = fields.DatetimeField()

    class Meta:
        table = "saved_work"
        indexes = (Index(fields=("session_id",), name="saved_work_of_session"),)
