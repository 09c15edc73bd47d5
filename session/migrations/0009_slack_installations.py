"""The table of the workspaces that the Slack app was installed in."""

# ruff: noqa: RUF012

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("session", "0008_preferences")]

    operations = [
        ops.CreateModel(
            name="SlackInstallationRow",
            fields=[
                ("team_id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("team_name", fields.CharField(max_length=255)),
                ("enterprise_id", fields.CharField(null=True, max_length=64)),
                ("bot_user_id", fields.CharField(max_length=64)),
                ("scopes", fields.TextField(unique=False)),
                ("installed_by", fields.CharField(max_length=64)),
                ("installed_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "slack_installations",
                "app": "session",
                "pk_attr": "team_id",
                "table_description": (
                    "A workspace that the Slack app was installed in. Its token is not here, but sealed in "
                    "the vault."
                ),
            },
            bases=["Model"],
        ),
    ]
