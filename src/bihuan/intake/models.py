"""Files that came in, and what became of each of their rows. No identity data stands here in the clear."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class IntakeFile(models.Model):
    """A file as it came: kept byte for byte, encrypted with its event's key, with its hash.

    `state`: waiting (stored, not begun), working, done, refused (could not be read: `refusal` says why). A file is its
    own queue: a worker that dies leaves it `working`, and the next one goes on after the last batch that was committed.
    """

    id = models.BigAutoField(primary_key=True)
    act = models.UUIDField(unique=True)
    event = models.IntegerField()
    kind = models.TextField()
    source = models.TextField()
    name = models.TextField()
    size = models.BigIntegerField()
    sha256 = models.BinaryField()
    blob = models.BinaryField()
    post = models.IntegerField()
    unit = models.IntegerField()
    scope = models.BigIntegerField()
    received_at = models.DateTimeField()
    forced = models.JSONField(null=True)
    state = models.TextField(default="waiting")
    refusal = models.JSONField(null=True)
    mapping = models.JSONField(null=True)
    n_rows = models.IntegerField(default=0)
    n_read = models.IntegerField(default=0)
    created = models.IntegerField(default=0)
    changed = models.IntegerField(default=0)
    unchanged = models.IntegerField(default=0)
    duplicate = models.IntegerField(default=0)
    rejected = models.IntegerField(default=0)
    reasons = models.JSONField(default=dict)
    warnings = models.JSONField(default=list)
    beat_at = models.DateTimeField(null=True)
    # Real time at which the present reader took the file up, and the row it went on from: rows a second, time left.
    begun_at = models.DateTimeField(null=True)
    begun_row = models.IntegerField(default=0)
    # How often its processing failed (was not killed, failed) at the same row.
    failures = models.IntegerField(default=0)
    done_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "intake_file"
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=["waiting", "working", "done", "refused"]), name="intake_file_state"),
            models.CheckConstraint(
                condition=~models.Q(state="done")
                | models.Q(
                    n_rows=models.F("created") + models.F("changed") + models.F("unchanged") + models.F("duplicate") + models.F("rejected")
                ),
                name="intake_file_accounts_balance",
            ),
        ]
        indexes = [models.Index(fields=["state"], condition=models.Q(state__in=["waiting", "working"]), name="intake_file_open")]


class IntakeMapping(models.Model):
    """What the columns of a sender's list are, as an officer of that unit said once: used again for the same head.

    `head` is the fingerprint of the names of the columns in their order (`columns.head_of`), never the names: where a list has no
    head they may be a person's. `fields` is {field: column index from 0}; columns that are not named are not used.
    """

    id = models.BigAutoField(primary_key=True)
    unit = models.IntegerField()
    kind = models.TextField()
    head = models.TextField()
    fields = models.JSONField(default=dict)
    post = models.IntegerField()
    said_at = models.DateTimeField()

    class Meta:
        db_table = "intake_mapping"
        constraints = [models.UniqueConstraint(fields=["unit", "kind", "head"], name="intake_mapping_once")]


class IntakeRow(models.Model):
    """What became of one row: created, changed, unchanged, duplicate or rejected with its reasons and cells."""

    file = models.BigIntegerField()
    sheet = models.TextField()
    row = models.IntegerField()
    no = models.IntegerField()
    outcome = models.TextField()
    reason = models.TextField(default="")
    reasons = ArrayField(models.TextField(), default=list)
    cells = ArrayField(models.TextField(), default=list)
    subject = models.UUIDField(null=True)

    class Meta:
        db_table = "intake_row"
        constraints = [
            models.UniqueConstraint(fields=["file", "no"], name="intake_row_once"),
            models.CheckConstraint(
                condition=models.Q(outcome__in=["created", "changed", "unchanged", "duplicate", "rejected"]), name="intake_row_outcome"
            ),
        ]
        indexes = [models.Index(fields=["file", "outcome", "no"], name="intake_row_outcome_idx")]
