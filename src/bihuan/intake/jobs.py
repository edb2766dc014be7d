"""The worker's part: files that wait, and files that a dead worker left."""

from __future__ import annotations

from django.db import connection

from bihuan.intake import actions
from bihuan.kernel import clock


def process_waiting() -> int:
    """Process files one after another until none waits. Returns how many."""
    n = 0
    while (file := _claim()) is not None:
        actions.process(file)
        n += 1
    return n


def _claim() -> int | None:
    """Take the oldest waiting file, or one whose worker died; no two workers take the same."""
    now = clock.real_now()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE intake_file SET state = 'working', beat_at = %(now)s WHERE id = (
              SELECT id FROM intake_file WHERE state = 'waiting' OR (state = 'working' AND (beat_at IS NULL OR beat_at < %(silent)s))
              ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING id
            """,
            {"now": now, "silent": now - actions.SILENCE},
        )
        row = cursor.fetchone()
    return row[0] if row else None


PERIODIC = [("intake.files", 1, process_waiting)]
