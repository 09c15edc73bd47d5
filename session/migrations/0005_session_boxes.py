"""The tables of sessions' boxes and of those that wait for a session."""

# ruff: noqa: RUF012

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("session", "0004_snapshots")]

    operations = [
        ops.CreateModel(
            name="SessionBoxRow",
            fields=[
                ("session_id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("box", fields.CharField(max_length=64)),
                ("place", fields.CharField(max_length=255)),
                ("since", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "session_boxes",
                "app": "session",
                "indexes": [Index(fields=["place", "box"], name="session_boxes_at_place")],
                "pk_attr": "session_id",
                "table_description": "The box that a session has, and the place where it is.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="WarmBoxRow",
            fields=[
                ("box", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("place", fields.CharField(max_length=255)),
                ("repository", fields.CharField(max_length=255)),
                ("fit", fields.CharField(max_length=64)),
                ("basis", fields.CharField(max_length=64)),
                ("state", fields.CharField(max_length=16)),
                ("since", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "warm_boxes",
                "app": "session",
                "indexes": [Index(fields=["place", "repository"], name="warm_boxes_at_place")],
                "pk_attr": "box",
                "table_description": "A box that waits for a session.",
            },
            bases=["Model"],
        ),
    ]
