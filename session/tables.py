"""The tables. Changing one needs a migration (ADR 0002); statements stand where they are used."""

from __future__ import annotations

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

_ID = 64


def _session_id() -> fields.CharField[str]:
    return fields.CharField(max_length=_ID)


class Session(Model):
    """One row a session, for lists, searches and the reconciler."""

    id = fields.CharField(max_length=_ID, primary_key=True)
    seq = fields.BigIntField()
    title = fields.TextField()
    state = fields.CharField(max_length=32)
    platform = fields.CharField(max_length=64)
    workspace = fields.CharField(max_length=255)
    channel = fields.CharField(max_length=255)
    thread = fields.CharField(max_length=255)
    requester_id = fields.CharField(max_length=_ID)
    requester_name = fields.TextField()
    repository = fields.CharField(max_length=255, null=True)
    branch = fields.CharField(max_length=255, null=True)
    pull_request_number = fields.BigIntField(null=True)
    pull_request_url = fields.TextField(null=True)
    pull_request_state = fields.CharField(max_length=16, null=True)
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()
    # What a worker has to do here ("read", "route", "turn", "merge"); when something last happened or the
    # reconciler last looked; how often it has re-driven the session since `drive_mark` changed; the lease's
    # epoch then.
    needs = fields.CharField(max_length=16, null=True)
    drive_at = fields.DatetimeField(null=True)
    drives = fields.IntField(default=0)
    drive_mark = fields.CharField(max_length=255, default="")
    drive_epoch = fields.BigIntField(default=0)

    class Meta:
        table = "sessions"
        indexes = (
            Index(fields=("drive_at",), name="sessions_drive"),
            Index(fields=("updated_at",), name="sessions_updated"),
            Index(fields=("platform", "channel", "thread"), name="sessions_thread"),
            Index(fields=("repository", "pull_request_number"), name="sessions_pull_request"),
            Index(fields=("repository", "branch"), name="sessions_branch"),
        )


class EventRow(Model):
    """One event in its place."""

    id = fields.BigIntField(primary_key=True)
    session_id = _session_id()
    seq = fields.BigIntField()
    type = fields.CharField(max_length=64)
    body = fields.TextField()
    at = fields.DatetimeField()

    class Meta:
        table = "events"
        unique_together = (("session_id", "seq"),)


class ParticipantRow(Model):
    """Somebody who opened a session or prompted in it."""

    id = fields.BigIntField(primary_key=True)
    session_id = _session_id()
    person_id = fields.CharField(max_length=_ID)

    class Meta:
        table = "participants"
        unique_together = (("person_id", "session_id"),)


class ClaimRow(Model):
    """A platform's event that has had its effect."""

    id = fields.BigIntField(primary_key=True)
    source = fields.CharField(max_length=255)
    event_id = fields.CharField(max_length=255)
    session_id = _session_id()
    at = fields.DatetimeField()

    class Meta:
        table = "claims"
        unique_together = (("source", "event_id"),)


class LeaseRow(Model):
    """Who drives a session. `epoch` never goes back."""

    session_id = fields.CharField(max_length=_ID, primary_key=True)
    epoch = fields.BigIntField()
    holder = fields.CharField(max_length=255)
    expires_at = fields.DatetimeField()

    class Meta:
        table = "leases"


class EffectRow(Model):
    """An outside effect: begun, and then done with a result."""

    op_key = fields.CharField(max_length=255, primary_key=True)
    session_id = _session_id()
    result = fields.TextField(null=True)
    begun_at = fields.DatetimeField()
    finished_at = fields.DatetimeField(null=True)

    class Meta:
        table = "effects"


class CursorRow(Model):
    """How far a consumer has told a session. `waiting_since` is null when nothing is left."""

    id = fields.BigIntField(primary_key=True)
    consumer = fields.CharField(max_length=64)
    session_id = _session_id()
    delivered_seq = fields.BigIntField()
    seq = fields.BigIntField()
    waiting_since = fields.DatetimeField(null=True)

    class Meta:
        table = "cursors"
        unique_together = (("session_id", "consumer"),)
        indexes = (Index(fields=("consumer", "waiting_since"), name="cursors_waiting"),)


class MessageRow(Model):
    """A chat message and what it stands for."""

    id = fields.BigIntField(primary_key=True)
    platform = fields.CharField(max_length=64)
    channel = fields.CharField(max_length=255)
    message_id = fields.CharField(max_length=255)
    session_id = _session_id()
    kind = fields.CharField(max_length=16)
    ref = fields.CharField(max_length=255)
    revision = fields.BigIntField()

    class Meta:
        table = "messages"
        unique_together = (("platform", "channel", "message_id"),)
        indexes = (Index(fields=("session_id", "kind", "ref"), name="messages_of_session"),)


class ArtifactRow(Model):
    """An artifact with its content."""

    id = fields.CharField(max_length=_ID, primary_key=True)
    session_id = _session_id()
    kind = fields.CharField(max_length=16)
    name = fields.TextField()
    media_type = fields.CharField(max_length=255)
    content = fields.BinaryField()
    created_at = fields.DatetimeField()

    class Meta:
        table = "artifacts"
        indexes = (Index(fields=("session_id",), name="artifacts_of_session"),)


class PersonRow(Model):
    """A person, or the former id of one who was merged into another."""

    id = fields.CharField(max_length=_ID, primary_key=True)
    name = fields.TextField()
    email = fields.TextField(null=True)
    forge_login = fields.CharField(max_length=255, null=True)
    role = fields.CharField(max_length=16)
    merged_into = fields.CharField(max_length=_ID, null=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "people"


class IdentityRow(Model):
    """An account of a person."""

    key = fields.CharField(max_length=600, primary_key=True)
    person_id = fields.CharField(max_length=_ID)
    platform = fields.CharField(max_length=64)
    workspace = fields.CharField(max_length=255)
    account = fields.CharField(max_length=255)
    name = fields.TextField()
    email = fields.TextField(null=True)
    guest = fields.BooleanField()

    class Meta:
        table = "identities"
        indexes = (Index(fields=("person_id",), name="identities_of_person"),)


class TicketRow(Model):
    """A one-time link, by the hash of its token."""

    token_hash = fields.CharField(max_length=64, primary_key=True)
    purpose = fields.CharField(max_length=64)
    data = fields.TextField()
    expires_at = fields.DatetimeField()

    class Meta:
        table = "tickets"
        indexes = (Index(fields=("expires_at",), name="tickets_expiry"),)


class SecretRow(Model):
    """A sealed secret."""

    name = fields.CharField(max_length=255, primary_key=True)
    sealed = fields.BinaryField()
    updated_at = fields.DatetimeField()

    class Meta:
        table = "secrets"


class LockRow(Model):
    """Somebody alone at a secret."""

    name = fields.CharField(max_length=255, primary_key=True)
    holder = fields.CharField(max_length=64)
    expires_at = fields.DatetimeField()

    class Meta:
        table = "locks"


class AuditRow(Model):
    """One audited action. Rows are only ever added, and each holds the hash of the one before it."""

    id = fields.BigIntField(primary_key=True, generated=False)
    at = fields.DatetimeField()
    actor = fields.CharField(max_length=255)
    action = fields.CharField(max_length=64)
    session_id = fields.CharField(max_length=_ID, default="")
    target = fields.TextField()
    outcome = fields.CharField(max_length=16)
    detail = fields.TextField()
    previous = fields.CharField(max_length=64)
    hash = fields.CharField(max_length=64)

    class Meta:
        table = "audit"
        indexes = (Index(fields=("session_id",), name="audit_of_session"),)


class HaltRow(Model):
    """The kill switch: while a row is not released, nothing has an effect."""

    id = fields.CharField(max_length=_ID, primary_key=True)
    at = fields.DatetimeField()
    by_id = fields.CharField(max_length=_ID)
    by_name = fields.TextField()
    reason = fields.TextField()
    released_at = fields.DatetimeField(null=True)
    released_by = fields.TextField(null=True)

    class Meta:
        table = "halts"


class SpendingRow(Model):
    """What a session has used of one budget, money in millionths of a dollar."""

    id = fields.BigIntField(primary_key=True)
    session_id = _session_id()
    budget = fields.CharField(max_length=32)
    spent = fields.BigIntField(default=0)

    class Meta:
        table = "spending"
        unique_together = (("session_id", "budget"),)


class ReservationRow(Model):
    """What a call under way may still use. One that was never settled runs out."""

    id = fields.CharField(max_length=_ID, primary_key=True)
    session_id = _session_id()
    budget = fields.CharField(max_length=32)
    amount = fields.BigIntField()
    expires_at = fields.DatetimeField()

    class Meta:
        table = "reservations"
        indexes = (Index(fields=("session_id", "budget"), name="reservations_of_session"),)


class McpToolRow(Model):
    """A tool of a tool server as it was when it was accepted."""

    id = fields.BigIntField(primary_key=True)
    repository = fields.CharField(max_length=255)
    server = fields.CharField(max_length=64)
    tool = fields.CharField(max_length=255)
    digest = fields.CharField(max_length=64)
    description = fields.TextField()
    accepted_at = fields.DatetimeField()
    accepted_by = fields.TextField()

    class Meta:
        table = "mcp_tools"
        unique_together = (("repository", "server", "tool"),)
