"""The worker's part: files that wait, and files that a dead worker left."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError, connection

from bihuan.intake import actions
from bihuan.kernel import clock

# A file this many times smaller than the one at work is taken in between; whole mornings of small lists pass a list of a million.
SMALLER = 4


def process_waiting() -> int:
    """Process files one after another until none waits. Returns how many."""
    n = 0
    while (file := _claim()) is not None:
        _process(file, between=_smaller)
        n += 1
    return n


def _process(file: int, **options) -> None:
    try:
        actions.process(file, **options)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        actions.failed(file)
        raise


def _smaller(size: int) -> None:
    """Between two batches of a long list: the small ones that came meanwhile. One that fails waits for its own turn."""
    while (file := _claim(size // SMALLER)) is not None:
        _process(file)


def _claim(size_max: int | None = None) -> int | None:
    """Take the oldest waiting file, or one whose process died; no two take the same. `size_max`: waiting ones up to so many bytes."""
    now = clock.real_now()
    # Died: it was begun and nobody holds its lock. What failed, or was never begun, is left alone for a while.
    died = f"begun_at IS NOT NULL AND failures = 0 AND pg_try_advisory_xact_lock({actions.lock_of('id')})"
    dead = "" if size_max is not None else f"OR (state = 'working' AND (beat_at IS NULL OR beat_at < %(silent)s OR ({died})))"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE intake_file SET state = 'working', beat_at = %(now)s, begun_at = %(now)s, begun_row = n_read WHERE id = (
              SELECT id FROM intake_file WHERE (state = 'waiting' {dead}) AND (%(size)s::bigint IS NULL OR size <= %(size)s::bigint)
              ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING id
            """,
            {"now": now, "silent": now - actions.SILENCE, "size": size_max},
        )
        row = cursor.fetchone()
    return row[0] if row else None


PERIODIC = [("intake.files", 1, process_waiting)]
