"""The tables about several hosts: their signs of life, boxes left behind, work saved for all, images in the
registry."""

# ruff: noqa: RUF012

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("session", "0005_session_boxes")]

    operations = [
        ops.AddField(
            model_name="SnapshotRow", name="shared", field=fields.CharField(max_length=255, db_default="")
        ),
        ops.AddField(
            model_name="ImageBuildRow", name="shared", field=fields.CharField(max_length=255, db_default="")
        ),
        ops.CreateModel(
            name="HostRow",
            fields=[
                ("place", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=255)),
                ("name", fields.CharField(max_length=255)),
                ("seen_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "hosts",
                "app": "session",
                "pk_attr": "place",
                "table_description": "A place with a worker, and when that was last heard of.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LeftBoxRow",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("place", fields.CharField(max_length=255)),
                ("box", fields.CharField(max_length=64)),
                ("session_id", fields.CharField(max_length=64)),
            ],
            options={
                "table": "left_boxes",
                "app": "session",
                "indexes": [Index(fields=["place"], name="left_boxes_at_place")],
                "pk_attr": "id",
                "table_description": "A box whose session has gone on in another.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="SavedWorkRow",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("session_id", fields.CharField(max_length=64)),
                ("repository", fields.CharField(max_length=255)),
                ("reference", fields.CharField(max_length=255)),
                ("sha", fields.CharField(max_length=64)),
                ("bundle", fields.BinaryField()),
                ("saved_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "saved_work",
                "app": "session",
                "indexes": [Index(fields=["session_id"], name="saved_work_of_session")],
                "pk_attr": "id",
                "table_description": "A ref of a session's quarantine, for the brokers of all hosts.",
            },
            bases=["Model"],
        ),
    ]
