"""The tables about preferences of people and rules of channels."""

# ruff: noqa: RUF012

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("session", "0007_picks")]

    operations = [
        ops.CreateModel(
            name="PreferenceRow",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("person_id", fields.CharField(max_length=64)),
                ("kind", fields.CharField(max_length=16)),
                ("subject", fields.CharField(default="", max_length=255)),
                ("value", fields.CharField(max_length=255)),
            ],
            options={
                "table": "preferences",
                "app": "session",
                "unique_together": (("person_id", "kind", "subject"),),
                "pk_attr": "id",
                "table_description": (
                    "One preference of a person. `subject` is the repository of a branch, empty for the "
                    "others."
                ),
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ChannelRuleRow",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("platform", fields.CharField(max_length=64)),
                ("workspace", fields.CharField(max_length=255)),
                ("channel", fields.CharField(max_length=255)),
                ("name", fields.CharField(default="", max_length=255)),
                ("repository", fields.CharField(null=True, max_length=255)),
                ("mention_required", fields.BooleanField(null=True)),
            ],
            options={
                "table": "channel_rules",
                "app": "session",
                "unique_together": (("platform", "workspace", "channel"),),
                "pk_attr": "id",
                "table_description": "The rules of a channel. A null means that nothing is said about it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="WatchedWordRow",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("platform", fields.CharField(max_length=64)),
                ("workspace", fields.CharField(max_length=255)),
                ("channel", fields.CharField(max_length=255)),
                ("word", fields.CharField(max_length=64)),
                ("starts", fields.BooleanField()),
                ("repository", fields.CharField(null=True, max_length=255)),
            ],
            options={
                "table": "watched_words",
                "app": "session",
                "unique_together": (("platform", "workspace", "channel", "word"),),
                "pk_attr": "id",
                "table_description": (
                    "A word that is watched in a channel. `repository` is null where it only starts work."
                ),
            },
            bases=["Model"],
        ),
    ]
