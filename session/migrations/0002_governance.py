"""Tables of the audit, the kill switch, budgets and tool servers."""

# ruff: noqa: E501, RUF012

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

_SQLITE = (
    "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit "
    "BEGIN SELECT RAISE(ABORT, 'rows of the audit are only ever added'); END",
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit "
    "BEGIN SELECT RAISE(ABORT, 'rows of the audit are only ever added'); END",
    # INSERT OR REPLACE deletes the row in its way without a word to the trigger above.
    "CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit "
    "WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id) "
    "BEGIN SELECT RAISE(ABORT, 'rows of the audit are only ever added'); END",
)
_POSTGRES = (
    "CREATE FUNCTION audit_only_added() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'rows of the audit are only ever added'; END $$",
    "CREATE TRIGGER audit_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_only_added()",
    # ALWAYS: also for a session that says it is a replica's.
    "ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_only_added",
)


async def _guard_audit(apps: StateApps, editor: BaseSchemaEditor) -> None:
    for statement in _POSTGRES if editor.DIALECT == "postgres" else _SQLITE:
        await editor.client.execute_query(statement)


async def _unguard_audit(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """Triggers go with their table."""
    if editor.DIALECT == "postgres":
        await editor.client.execute_query("DROP FUNCTION audit_only_added() CASCADE")


class Migration(migrations.Migration):
    dependencies = [("session", "0001_initial")]

    operations = [
        ops.CreateModel(
            name="AuditRow",
            fields=[
                ("id", fields.BigIntField(generated=False, primary_key=True, unique=True, db_index=True)),
                ("at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("actor", fields.CharField(max_length=255)),
                ("action", fields.CharField(max_length=64)),
                ("session_id", fields.CharField(default="", max_length=64)),
                ("target", fields.TextField(unique=False)),
                ("outcome", fields.CharField(max_length=16)),
                ("detail", fields.TextField(unique=False)),
                ("previous", fields.CharField(max_length=64)),
                ("hash", fields.CharField(max_length=64)),
            ],
            options={
                "table": "audit",
                "app": "session",
                "indexes": [Index(fields=["session_id"], name="audit_of_session")],
                "pk_attr": "id",
                "table_description": "One audited action. Rows are only ever added, and each holds the hash of the one before it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="HaltRow",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("by_id", fields.CharField(max_length=64)),
                ("by_name", fields.TextField(unique=False)),
                ("reason", fields.TextField(unique=False)),
                ("released_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("released_by", fields.TextField(null=True, unique=False)),
            ],
            options={
                "table": "halts",
                "app": "session",
                "pk_attr": "id",
                "table_description": "The kill switch: while a row is not released, nothing has an effect.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="McpToolRow",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("repository", fields.CharField(max_length=255)),
                ("server", fields.CharField(max_length=64)),
                ("tool", fields.CharField(max_length=255)),
                ("digest", fields.CharField(max_length=64)),
                ("description", fields.TextField(unique=False)),
                ("accepted_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("accepted_by", fields.TextField(unique=False)),
            ],
            options={
                "table": "mcp_tools",
                "app": "session",
                "unique_together": (("repository", "server", "tool"),),
                "pk_attr": "id",
                "table_description": "A tool of a tool server as it was when it was accepted.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ReservationRow",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("session_id", fields.CharField(max_length=64)),
                ("budget", fields.CharField(max_length=32)),
                ("amount", fields.BigIntField()),
                ("expires_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "reservations",
                "app": "session",
                "indexes": [Index(fields=["session_id", "budget"], name="reservations_of_session")],
                "pk_attr": "id",
                "table_description": "What a call under way may still use. One that was never settled runs out.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="SpendingRow",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("session_id", fields.CharField(max_length=64)),
                ("budget", fields.CharField(max_length=32)),
                ("spent", fields.BigIntField(default=0)),
            ],
            options={
                "table": "spending",
                "app": "session",
                "unique_together": (("session_id", "budget"),),
                "pk_attr": "id",
                "table_description": "What a session has used of one budget, money in millionths of a dollar.",
            },
            bases=["Model"],
        ),
        ops.RunPython(_guard_audit, _unguard_audit),
    ]
