"""The first tables."""

# ruff: noqa: E501, RUF012

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    initial = True

    operations = [
        ops.CreateModel(
            name="ArtifactRow",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("session_id", fields.CharField(max_length=64)),
                ("kind", fields.CharField(max_length=16)),
                ("name", fields.TextField(unique=False)),
                ("media_type", fields.CharField(max_length=255)),
                ("content", fields.BinaryField()),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "artifacts",
                "app": "session",
                "indexes": [Index(fields=["session_id"], name="artifacts_of_session")],
                "pk_attr": "id",
                "table_description": "An artifact with its content.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ClaimRow",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("source", fields.CharField(max_length=255)),
                ("event_id", fields.CharField(max_length=255)),
                ("session_id", fields.CharField(max_length=64)),
                ("at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "claims",
                "app": "session",
                "unique_together": (("source", "event_id"),),
                "pk_attr": "id",
                "table_description": "A platform's event that has had its effect.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="CursorRow",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("consumer", fields.CharField(max_length=64)),
                ("session_id", fields.CharField(max_length=64)),
                ("delivered_seq", fields.BigIntField()),
                ("seq", fields.BigIntField()),
                ("waiting_since", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "cursors",
                "app": "session",
                "unique_together": (("session_id", "consumer"),),
                "indexes": [Index(fields=["consumer", "waiting_since"], name="cursors_waiting")],
                "pk_attr": "id",
                "table_description": "How far a consumer has told a session. `waiting_since` is null when nothing is left.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="EffectRow",
            fields=[
                ("op_key", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=255)),
                ("session_id", fields.CharField(max_length=64)),
                ("result", fields.TextField(null=True, unique=False)),
                ("begun_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("finished_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "effects",
                "app": "session",
                "pk_attr": "op_key",
                "table_description": "An outside effect: begun, and then done with a result.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="EventRow",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("session_id", fields.CharField(max_length=64)),
                ("seq", fields.BigIntField()),
                ("type", fields.CharField(max_length=64)),
                ("body", fields.TextField(unique=False)),
                ("at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "events",
                "app": "session",
                "unique_together": (("session_id", "seq"),),
                "pk_attr": "id",
                "table_description": "One event in its place.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="IdentityRow",
            fields=[
                ("key", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=600)),
                ("person_id", fields.CharField(max_length=64)),
                ("platform", fields.CharField(max_length=64)),
                ("workspace", fields.CharField(max_length=255)),
                ("account", fields.CharField(max_length=255)),
                ("name", fields.TextField(unique=False)),
                ("email", fields.TextField(null=True, unique=False)),
                ("guest", fields.BooleanField()),
            ],
            options={
                "table": "identities",
                "app": "session",
                "indexes": [Index(fields=["person_id"], name="identities_of_person")],
                "pk_attr": "key",
                "table_description": "An account of a person.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LeaseRow",
            fields=[
                ("session_id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("epoch", fields.BigIntField()),
                ("holder", fields.CharField(max_length=255)),
                ("expires_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "leases",
                "app": "session",
                "pk_attr": "session_id",
                "table_description": "Who drives a session. `epoch` never goes back.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LockRow",
            fields=[
                ("name", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=255)),
                ("holder", fields.CharField(max_length=64)),
                ("expires_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "locks",
                "app": "session",
                "pk_attr": "name",
                "table_description": "Somebody alone at a secret.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="MessageRow",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("platform", fields.CharField(max_length=64)),
                ("channel", fields.CharField(max_length=255)),
                ("message_id", fields.CharField(max_length=255)),
                ("session_id", fields.CharField(max_length=64)),
                ("kind", fields.CharField(max_length=16)),
                ("ref", fields.CharField(max_length=255)),
                ("revision", fields.BigIntField()),
            ],
            options={
                "table": "messages",
                "app": "session",
                "unique_together": (("platform", "channel", "message_id"),),
                "indexes": [Index(fields=["session_id", "kind", "ref"], name="messages_of_session")],
                "pk_attr": "id",
                "table_description": "A chat message and what it stands for.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ParticipantRow",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("session_id", fields.CharField(max_length=64)),
                ("person_id", fields.CharField(max_length=64)),
            ],
            options={
                "table": "participants",
                "app": "session",
                "unique_together": (("person_id", "session_id"),),
                "pk_attr": "id",
                "table_description": "Somebody who opened a session or prompted in it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="PersonRow",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("name", fields.TextField(unique=False)),
                ("email", fields.TextField(null=True, unique=False)),
                ("forge_login", fields.CharField(null=True, max_length=255)),
                ("role", fields.CharField(max_length=16)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={"table": "people", "app": "session", "pk_attr": "id", "table_description": "A person."},
            bases=["Model"],
        ),
        ops.CreateModel(
            name="SecretRow",
            fields=[
                ("name", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=255)),
                ("sealed", fields.BinaryField()),
                ("updated_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "secrets",
                "app": "session",
                "pk_attr": "name",
                "table_description": "A sealed secret.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Session",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("seq", fields.BigIntField()),
                ("title", fields.TextField(unique=False)),
                ("state", fields.CharField(max_length=32)),
                ("platform", fields.CharField(max_length=64)),
                ("workspace", fields.CharField(max_length=255)),
                ("channel", fields.CharField(max_length=255)),
                ("thread", fields.CharField(max_length=255)),
                ("requester_id", fields.CharField(max_length=64)),
                ("requester_name", fields.TextField(unique=False)),
                ("repository", fields.CharField(null=True, max_length=255)),
                ("branch", fields.CharField(null=True, max_length=255)),
                ("pull_request_number", fields.BigIntField(null=True)),
                ("pull_request_url", fields.TextField(null=True, unique=False)),
                ("pull_request_state", fields.CharField(null=True, max_length=16)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("updated_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("needs", fields.CharField(null=True, max_length=16)),
                ("drive_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("drives", fields.IntField(default=0)),
                ("drive_mark", fields.CharField(default="", max_length=255)),
                ("drive_epoch", fields.BigIntField(default=0)),
            ],
            options={
                "table": "sessions",
                "app": "session",
                "indexes": [
                    Index(fields=["drive_at"], name="sessions_drive"),
                    Index(fields=["updated_at"], name="sessions_updated"),
                    Index(fields=["platform", "channel", "thread"], name="sessions_thread"),
                    Index(fields=["repository", "pull_request_number"], name="sessions_pull_request"),
                    Index(fields=["repository", "branch"], name="sessions_branch"),
                ],
                "pk_attr": "id",
                "table_description": "One row a session, for lists, searches and the reconciler.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="TicketRow",
            fields=[
                ("token_hash", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("purpose", fields.CharField(max_length=64)),
                ("data", fields.TextField(unique=False)),
                ("expires_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "tickets",
                "app": "session",
                "indexes": [Index(fields=["expires_at"], name="tickets_expiry")],
                "pk_attr": "token_hash",
                "table_description": "A one-time link, by the hash of its token.",
            },
            bases=["Model"],
        ),
    ]
