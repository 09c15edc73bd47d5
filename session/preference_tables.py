"""The tables of what people and channels prefer. Changing one needs a migration (ADR 0002)."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class PreferenceRow(Model):
    """One preference of a person. `subject` is the repository of a branch, empty for the others."""

    id = fields.BigIntField(primary_key=True)
    person_id = fields.CharField(max_length=64)
    kind = fields.CharField(max_length=16)
    subject = fields.CharField(max_length=255, default="")
    value = fields.CharField(max_length=255)

    class Meta:
        table = "preferences"
        unique_together = (("person_id", "kind", "subject"),)


class ChannelRuleRow(Model):
    """The rules of a channel. A null means that nothing is said about it."""

    id = fields.BigIntField(primary_key=True)
    platform = fields.CharField(max_length=64)
    workspace = fields.CharField(max_length=255)
    channel = fields.CharField(max_length=255)
    name = fields.CharField(max_length=255, default="")
    repository = fields.CharField(max_length=255, null=True)
    mention_required = fields.BooleanField(null=True)

    class Meta:
        table = "channel_rules"
        unique_together = (("platform", "workspace", "channel"),)


class WatchedWordRow(Model):
    """A word that is watched in a channel. `repository` is null where it only starts work."""

    id = fields.BigIntField(primary_key=True)
    platform = fields.CharField(max_length=64)
    workspace = fields.CharField(max_length=255)
    channel = fields.CharField(max_length=255)
    word = fields.CharField(max_length=64)
    starts = fields.BooleanField()
    repository = fields.CharField(max_length=255, null=True)

    class Meta:
        table = "watched_words"
        unique_together = (("platform", "workspace", "channel", "word"),)
