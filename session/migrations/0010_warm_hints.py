"""The table of the repositories that somebody is about to ask something of."""

# ruff: noqa: RUF012

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("session", "0009_slack_installations")]

    operations = [
        ops.CreateModel(
            name="WarmHintRow",
            fields=[
                (
                    "repository",
                    fields.CharField(primary_key=True, unique=True, db_index=True, max_length=255),
                ),
                ("ends_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "warm_hints",
                "app": "session",
                "pk_attr": "repository",
                "table_description": "A repository of which somebody is about to ask something.",
            },
            bases=["Model"],
        ),
    ]
