"""The table of snapshots."""

# ruff: noqa: RUF012

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("session", "0003_images")]

    operations = [
        ops.CreateModel(
            name="SnapshotRow",
            fields=[
                ("reference", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=255)),
                ("session_id", fields.CharField(max_length=64)),
                ("place", fields.CharField(max_length=255)),
                ("repository", fields.CharField(max_length=255)),
                ("turns", fields.IntField()),
                ("checkpoint", fields.CharField(max_length=64)),
                ("runner", fields.IntField()),
                ("taken_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "snapshots",
                "app": "session",
                "indexes": [
                    Index(fields=["session_id"], name="snapshots_of_session"),
                    Index(fields=["place", "taken_at"], name="snapshots_at_place"),
                ],
                "pk_attr": "reference",
                "table_description": "A copy of a session's box, in the engine of one host.",
            },
            bases=["Model"],
        ),
    ]
