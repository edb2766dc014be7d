"""The months of the ledger: a fact's id carries its time, and each month of ids is a table of its own.

So an event's old months can be dropped whole, and an id alone is the key.
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import connection

MONTHS_AHEAD = 2  # a month that nobody made in time would only fill the default partition; two leave time to notice


def ensure(real_now: datetime) -> int:
    """Make the tables of this month and the two ahead, by real time; returns how many were missing. Worker's role.

    Rows of a new month that wait in the default partition (a device whose clock was ahead) are moved first.
    """
    month = real_now.astimezone(UTC).date().replace(day=1)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_regclass('public.fact_' || to_char(%s::date + make_interval(months => %s), 'YYYY_MM'))", [month, MONTHS_AHEAD]
        )
        if cursor.fetchone()[0] is not None:
            return 0  # the usual minute: nothing to lock
        cursor.execute("SELECT ledger_ensure_partitions(%s, %s)", [month, MONTHS_AHEAD + 1])
        return cursor.fetchone()[0]
