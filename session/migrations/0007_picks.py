"""The table of what people picked when the repository was not clear."""

# ruff: noqa: RUF012

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("session", "0006_hosts")]

    operations = [
        ops.CreateModel(
            name="PickRow",
            fields=[
                (
                    "session_id",
                    fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64),
                ),
                ("platform", fields.CharField(max_length=64)),
                ("workspace", fields.CharField(max_length=255)),
                ("channel", fields.CharField(max_length=255)),
                ("channel_name", fields.CharField(max_length=255)),
                ("words", fields.TextField(unique=False)),
                ("slug", fields.CharField(max_length=255)),
                ("refused", fields.CharField(max_length=255)),
                ("picked_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "picks",
                "app": "session",
                "indexes": [
                    Index(fields=["platform", "workspace", "channel", "picked_at"], name="picks_of_channel")
                ],
                "pk_attr": "session_id",
                "table_description": "The repository that a person picked for a session's request.",
            },
            bases=["Model"],
        ),
    ]
