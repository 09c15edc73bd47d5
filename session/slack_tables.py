"""The table of the workspaces that the Slack app was installed in; see `session/slack_installations.py`."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class SlackInstallationRow(Model):
    """A workspace that the Slack app was installed in. Its token is not here, but sealed in the vault."""

    team_id = fields.CharField(max_length=64, primary_key=True)
    team_name = fields.CharField(max_length=255)
    enterprise_id = fields.CharField(max_length=64, null=True)
    bot_user_id = fields.CharField(max_length=64)
    scopes = fields.TextField()
    installed_by = fields.CharField(max_length=64)
    installed_at = fields.DatetimeField()

    class Meta:
        table = "slack_installations"
