"""The worker's part: figures that are counted now and then, lists whose time is over."""

from __future__ import annotations

from django.db import connection, transaction

from bihuan.kernel import clock
from bihuan.leads import standing


def end_lists() -> int:
    """Destroy lists and drafts of bulk acts that have ended; what was recorded stays in the ledger. Returns how many."""
    now = clock.now()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "WITH gone AS (DELETE FROM bulk_act WHERE ends_at <= %(now)s RETURNING act), parts AS (DELETE FROM bulk_part p USING gone"
            " WHERE p.act = gone.act), lists AS (DELETE FROM duty_list WHERE ends_at <= %(now)s RETURNING 1)"
            " SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM lists)",
            {"now": now},
        )
        return cursor.fetchone()[0]


PERIODIC = [
    ("leads.count_standing", 60, standing.count),
    ("leads.find_strays", 300, standing.find_strays),
    ("leads.end_lists", 3600, end_lists),
]
