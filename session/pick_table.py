"""The table of people's picks; see `session/picks.py`."""

from __future__ import annotations

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model


class PickRow(Model):
    """The repository that a person picked for a session's request."""

    session_id = fields.CharField(max_length=64, primary_key=True)
    platform = fields.CharField(max_length=64)
    workspace = fields.CharField(max_length=255)
    channel = fields.CharField(max_length=255)
    channel_name = fields.CharField(max_length=255)
    words = fields.TextField()
    slug = fields.CharField(max_length=255)
    refused = fields.CharField(max_length=255)
    picked_at = fields.DatetimeField()

    class Meta:
        table = "picks"
        indexes = (Index(fields=("platform", "workspace", "channel", "picked_at"), name="picks_of_channel"),)
