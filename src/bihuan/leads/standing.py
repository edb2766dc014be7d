"""Figures that would take a look at everybody: counted by the worker, read by every page, each with its moment.

An overview adds up kept numbers. What is kept with the acts (held, new, closed, late) is exact at every instant; these
here are as old as they say, a minute at most, because a city's desks look at them at the same time and all day.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection, transaction

from bihuan.identity.evidence import FIRST_NAME_DOOR, FIRST_PHONE
from bihuan.kernel import clock
from bihuan.leads.loops import VERIFY

SOON = timedelta(hours=2)  # what a meeting looks ahead; a matter of display, no duty depends on it
HELPED, ASKED, SOON_DUE, NUMBER_ONLY, STRAYS = "helped", "asked", "soon", "number_only", "strays"
SEEN = "seen"  # how many persons exactly these sources reported: seen:data+unit, and seen:#telecom where only a number is known
NOWHERE = -1  # the unit of those of whom no place is known

# The first rung of a late duty has fired: no timer of the first rung is left. The same meaning as in the counts.
_LATE = "l.due_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM timer t WHERE t.loop = l.id AND t.level = 1)"

_COUNTED = {
    # The highest desk that was asked for help with each late duty.
    HELPED: f"""
        SELECT l.event, l.owner, a.unit, count(*), NULL::timestamptz, 0
        FROM (SELECT DISTINCT ON (f.loop) f.loop, f.unit FROM fired f ORDER BY f.loop, f.level DESC, f.bucket DESC) a
        JOIN loop l ON l.id = a.loop WHERE l.closed_at IS NULL AND {_LATE} GROUP BY 1, 2, 3""",
    # Every desk that was asked, since when, and how often the people were called meanwhile.
    ASKED: f"""
        WITH late AS MATERIALIZED (
          SELECT l.id, l.event, l.owner, l.subject, f.unit, min(f.bucket) AS since FROM fired f JOIN loop l ON l.id = f.loop
          WHERE l.owner <> f.unit AND l.closed_at IS NULL AND {_LATE} GROUP BY l.id, f.unit),
        called AS (SELECT t.event, t.subject, count(*) AS n FROM fact t
                   WHERE t.kind = 'leads.contact_tried' AND t.subject IN (SELECT subject FROM late) GROUP BY 1, 2)
        SELECT late.event, late.owner, late.unit, count(*), min(late.since), coalesce(sum(called.n), 0)::int
        FROM late LEFT JOIN called USING (event, subject) GROUP BY 1, 2, 3""",
    # What falls due next, and `since` when the first of it does.
    SOON_DUE: """
        SELECT l.event, l.owner, 0, count(*), min(l.due_at), 0 FROM loop l
        WHERE l.closed_at IS NULL AND l.due_at >= %(now)s AND l.due_at < %(soon)s GROUP BY 1, 2""",
    # Nobody's name is known, nor a document: the person is a number that was reported.
    NUMBER_ONLY: f"""
        SELECT l.event, l.owner, 0, count(*), NULL::timestamptz, 0 FROM loop l
        WHERE l.closed_at IS NULL AND l.kind = '{VERIFY.name}' AND NOT EXISTS (
          SELECT 1 FROM cluster c JOIN cluster m ON m.root = c.root JOIN person p ON p.subject = m.subject WHERE c.subject = l.subject)
        GROUP BY 1, 2""",
}

_SEEN = f"""
INSERT INTO standing (event, what, unit, asked, n, tries, at)
SELECT le.event, '{SEEN}:' || CASE WHEN c.root >= %(first_phone)s AND c.root < %(first_name_door)s THEN '#' ELSE '' END
         || array_to_string(le.sources, '+'),
       coalesce(le.desk, {NOWHERE}), 0, count(*), 0, %(now)s
FROM lead le JOIN cluster c ON c.subject = le.subject WHERE le.merged_into IS NULL AND le.n_reports > 0 GROUP BY 1, 2, 3
"""
_STRAYS = f"""
WITH alone AS MATERIALIZED (  -- nearly every duty names the alias of its lead: only the rest is looked for among the person's others
  SELECT le.id, le.event, le.subject FROM lead le WHERE le.merged_into IS NULL AND NOT EXISTS (
    SELECT 1 FROM loop l WHERE l.subject = le.subject AND l.key = le.key AND l.event = le.event AND l.kind = '{VERIFY.name}'))
INSERT INTO stray (lead, event, found_at)
SELECT le.id, le.event, %(now)s FROM alone le
WHERE NOT EXISTS (SELECT 1 FROM cluster c JOIN cluster m ON m.root = c.root
                  JOIN loop l ON l.subject = m.subject AND l.event = le.event AND l.kind = '{VERIFY.name}' WHERE c.subject = le.subject)
"""


def count() -> None:
    """Count anew, for every open event. Runs as the worker's role, in a transaction of its own; readers see the old or the new."""
    now = clock.now()
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("DELETE FROM standing WHERE what = ANY(%s)", (list(_COUNTED),))
        for what, select in _COUNTED.items():
            cursor.execute(
                f"INSERT INTO standing (event, unit, asked, n, since, tries, what, at) SELECT x.*, '{what}', %(now)s FROM ({select}) x",
                {"now": now, "soon": now + SOON},
            )
        cursor.execute("DELETE FROM standing WHERE what >= %s AND what < %s", (f"{SEEN}:", f"{SEEN};"))
        cursor.execute(_SEEN, {"now": now, "first_phone": FIRST_PHONE, "first_name_door": FIRST_NAME_DOOR})
        _stamp(cursor, list(_COUNTED), now)


def _stamp(cursor, whats: list[str], now: datetime) -> None:
    cursor.execute(
        "INSERT INTO standing (event, what, unit, asked, n, tries, at)"
        " SELECT e.id, w.what, 0, 0, 0, 0, %s FROM event e, unnest(%s::text[]) AS w(what)",
        (now, whats),
    )


def find_strays() -> int:
    """Name every lead that nobody has a duty to verify; returns how many. A cheap part of what `verify` recounts over everything."""
    now = clock.now()
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("DELETE FROM stray")
        cursor.execute("DELETE FROM standing WHERE what = %s", (STRAYS,))
        cursor.execute(_STRAYS, {"now": now})
        n = cursor.rowcount
        _stamp(cursor, [STRAYS], now)
    return n
