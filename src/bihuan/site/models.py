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
