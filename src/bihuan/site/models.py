"""What the house itself keeps."""

from __future__ import annotations

from django.db import models


class JobRun(models.Model):
    """The last run of each of the worker's jobs, in real time. A clock that stands still must be seen."""

    name = models.TextField(primary_key=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    error = models.TextField(blank=True)

    class Meta:
        db_table = "job_run"


class Denied(models.Model):
    """Requests that were refused: by a post that may not (403), or for what is not its own or not there (404).

    One row an hour, post and address (as the resolver writes it: no id, no name of anybody), so that a flood stays small.
    Whoever has a login of the wrong township and tries others' addresses is seen here by the auditors.
    """

    id = models.BigAutoField(primary_key=True)
    hour = models.DateTimeField()
    post = models.IntegerField()
    unit = models.IntegerField()
    address = models.TextField()
    status = models.SmallIntegerField()
    n = models.IntegerField(default=1)
    last_at = models.DateTimeField()

    class Meta:
        db_table = "denied"
        constraints = [models.UniqueConstraint(fields=["hour", "post", "address", "status"], name="denied_once")]


class Feedback(models.Model):
    """What somebody says about a page, and the answer of the desk above. Read by the two units, by nobody else.

    `page` is the address as the resolver writes it; no personal data is asked for, and numbers of persons are refused.
    """

    id = models.BigAutoField(primary_key=True)
    act = models.UUIDField(unique=True)
    at = models.DateTimeField()
    post = models.IntegerField()
    unit = models.IntegerField()
    desk = models.IntegerField()
    page = models.TextField(blank=True)
    text = models.TextField()
    answer = models.TextField(blank=True)
    answered_at = models.DateTimeField(null=True)
    answered_by = models.IntegerField(null=True)

    class Meta:
        db_table = "feedback"
        indexes = [models.Index(fields=["unit", "-id"], name="feedback_unit"), models.Index(fields=["desk", "-id"], name="feedback_desk")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(answered_at=None, answered_by=None, answer="")
                | models.Q(answered_at__isnull=False, answered_by__isnull=False) & ~models.Q(answer=""),
                name="feedback_answer_is_whole",
            )
        ]
