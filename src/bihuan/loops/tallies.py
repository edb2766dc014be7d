"""Counts of duties by unit and kind, exact at every instant: folded counts plus the deltas not yet folded."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from django.db import connection, transaction

from bihuan.kernel import clock


def lines(of: str = "event = %(event)s") -> str:
    """SQL of a relation: all that is counted of an event, folded and not yet folded. `of`: SQL, which of it."""
    columns = "unit, kind, day, opened, closed, moved_in, moved_out, late"
    return f"(SELECT {columns} FROM tally WHERE {of} UNION ALL SELECT {columns} FROM tally_delta WHERE {of})"


# The figures of a sum of them (`day`: the product's).
SUMS = """
sum(opened + moved_in - closed - moved_out)::int AS held, sum(late)::int AS late,
(sum(opened) FILTER (WHERE day = %(day)s))::int AS new, (sum(closed) FILTER (WHERE day = %(day)s))::int AS closed
"""


@dataclasses.dataclass(frozen=True)
class Counts:
    """One unit's figures: duties held now, of them late; opened and closed on the product's day."""

    unit: int
    held: int
    late: int
    new: int
    closed: int


def fold() -> int:
    """Fold the deltas into the tallies in one statement; days before yesterday become one row. Returns deltas folded."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            WITH gone AS (DELETE FROM tally_delta RETURNING *),
            old AS (DELETE FROM tally WHERE day < %(day)s::date - 1 AND day > '0001-01-01' RETURNING *),
            parts AS (
              SELECT event, unit, kind, day, opened, closed, moved_in, moved_out, late FROM gone WHERE day >= %(day)s::date - 1
              UNION ALL
              SELECT event, unit, kind, '0001-01-01', opened, closed, moved_in, moved_out, late FROM gone WHERE day < %(day)s::date - 1
              UNION ALL SELECT event, unit, kind, '0001-01-01', opened, closed, moved_in, moved_out, late FROM old),
            ins AS (
              INSERT INTO tally (event, unit, kind, day, opened, closed, moved_in, moved_out, late)
              SELECT event, unit, kind, day, sum(opened), sum(closed), sum(moved_in), sum(moved_out), sum(late)
              FROM parts GROUP BY event, unit, kind, day ORDER BY event, unit, kind, day
              ON CONFLICT (event, unit, kind, day) DO UPDATE SET
                opened = tally.opened + excluded.opened, closed = tally.closed + excluded.closed,
                moved_in = tally.moved_in + excluded.moved_in, moved_out = tally.moved_out + excluded.moved_out,
                late = tally.late + excluded.late)
            SELECT count(*) FROM gone
            """,
            {"day": clock.today()},
        )
        return cursor.fetchone()[0]


def counts(event: int, kinds: Sequence[str] | None = None, units: Sequence[int] | None = None) -> list[Counts]:
    """Figures by unit, of those in sight; `kinds` and `units` narrow."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT unit, {SUMS} FROM {lines()} t
            WHERE (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s)) AND (%(units)s::int[] IS NULL OR unit = ANY(%(units)s))
            GROUP BY unit ORDER BY unit
            """,
            {
                "event": event,
                "day": clock.today(),
                "kinds": list(kinds) if kinds else None,
                "units": list(units) if units is not None else None,
            },
        )
        return [Counts(unit, held or 0, late or 0, new or 0, closed or 0) for unit, held, late, new, closed in cursor.fetchall()]
