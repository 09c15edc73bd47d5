"""The table of image builds."""

# ruff: noqa: RUF012

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("session", "0002_governance")]

    operations = [
        ops.CreateModel(
            name="ImageBuildRow",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("repository", fields.CharField(max_length=255)),
                ("place", fields.CharField(max_length=255)),
                ("state", fields.CharField(max_length=16)),
                ("sha", fields.CharField(max_length=64)),
                ("fingerprint", fields.CharField(max_length=16)),
                ("recipe", fields.CharField(max_length=16)),
                ("base", fields.CharField(max_length=255)),
                ("reference", fields.TextField(unique=False)),
                ("layers", fields.IntField(default=0)),
                ("size_bytes", fields.BigIntField(default=0)),
                ("cause", fields.TextField(unique=False)),
                ("passing", fields.BooleanField(default=False)),
                ("log", fields.TextField(unique=False)),
                ("started_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("finished_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("whole_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "image_builds",
                "app": "session",
                "indexes": [
                    Index(fields=["repository", "place", "started_at"], name="image_builds_of_repository")
                ],
                "pk_attr": "id",
                "table_description": "One build of a repository's image, from its beginning to its end.",
            },
            bases=["Model"],
        ),
    ]
