"""Figures of a jurisdiction, and the lists that they count. A figure and its list are one condition."""

# ruff: noqa: E501  a statement or a sentence reads better unbroken

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from bihuan.kernel import clock
from bihuan.leads import standing
from bihuan.leads.loops import VERIFY
from bihuan.leads.queries import LATE, PAGE_ROWS, rows
from bihuan.loops import tallies
from bihuan.regions import queries as regions

WHATS = ("held", "new", "closed", "late", "helped", "phone_only")

# Nobody's name is known, nor a document: the person is a number that was reported.
_NUMBER_ONLY = "NOT EXISTS (SELECT 1 FROM cluster c JOIN cluster m ON m.root = c.root JOIN person p ON p.subject = m.subject WHERE c.subject = l.subject)"
# The highest desk that was asked for help with a duty.
_ASKED = "SELECT DISTINCT ON (f.loop) f.loop, f.unit FROM fired f ORDER BY f.loop, f.level DESC, f.bucket DESC"


@dataclasses.dataclass(frozen=True)
class Place:
    """A unit with the half-open range of scope codes that it commands. `is_zone`: a functional zone, which is no division."""

    unit: int
    name: str
    phone: str
    kind: str
    level: int
    parent: int | None
    lo: int
    hi: int
    is_zone: bool
    region: str


@dataclasses.dataclass
class Figures:
    held: int = 0
    new: int = 0
    closed: int = 0
    late: int = 0
    helped: int = 0

    def add(self, other: Figures) -> None:
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


_PLACES = """
SELECT u.id, u.name, r.name AS region, u.phone, u.kind, r.level, u.parent_id, s.scope, r.level = 3 AND r.division_code IS NULL AS is_zone
FROM unit u JOIN region r ON r.id = u.region_id JOIN region_scope s ON s.region_id = r.id AND s.valid @> %(on)s::date
"""


def _place(row: dict[str, Any]) -> Place:
    lo, hi = regions.span_of(row["scope"], row["level"])
    return Place(row["id"], row["name"], row["phone"], row["kind"], row["level"], row["parent_id"], lo, hi, row["is_zone"], row["region"])


def places(lo: int, hi: int, parent: int | None = None) -> list[Place]:
    """All units of a range, or those directly under `parent`, in the order of their codes. One statement."""
    found = rows(
        f"{_PLACES} WHERE s.scope >= %(lo)s AND s.scope < %(hi)s AND (%(parent)s::int IS NULL OR u.parent_id = %(parent)s)"
        " ORDER BY s.scope, u.kind, u.id",
        {"lo": lo, "hi": hi, "parent": parent, "on": clock.today()},
    )
    return [_place(row) for row in found]


def place(unit: int) -> Place | None:
    found = rows(f"{_PLACES} WHERE u.id = %(unit)s", {"unit": unit, "on": clock.today()})
    return _place(found[0]) if found else None


def figures_by_unit(event: int) -> dict[int, Figures]:
    """Exact counts of every unit in sight."""
    return {c.unit: Figures(c.held, c.new, c.closed, c.late) for c in tallies.counts(event)}


def own_units(members: Iterable[Place], below: Sequence[Place]) -> list[int]:
    """Units at the top itself: its desk, its liaison desk, its senders; those in no range below."""
    return [m.unit for m in members if not any(b.lo <= m.lo < b.hi for b in below)]


# The units of a range with the line to which each counts: the first of those below in whose range it lies, else the top's own.
# Help counts where the top or a desk above it was asked; what a unit below settles by itself is its own matter. Of what is
# kept, unit 0 says when it was counted and `standing.NOWHERE` counts those of no known place.
_GLANCE = f"""
WITH b AS (SELECT * FROM unnest(%(lines)s::int[], %(los)s::bigint[], %(his)s::bigint[]) WITH ORDINALITY AS b(line, lo, hi, no)),
m AS MATERIALIZED (
  SELECT u.id AS unit, coalesce((SELECT b.line FROM b WHERE s.scope >= b.lo AND s.scope < b.hi ORDER BY b.no LIMIT 1), %(top)s) AS line
  FROM region_scope s JOIN unit u ON u.region_id = s.region_id
  WHERE s.valid @> %(on)s::date AND s.scope >= %(lo)s AND s.scope < %(hi)s)
SELECT m.line, '' AS what, 0 AS n, NULL::timestamptz AS at, NULL::timestamptz AS since, {tallies.SUMS} FROM {tallies.lines()} t JOIN m USING (unit) GROUP BY m.line
UNION ALL
SELECT coalesce(m.line, s.unit), s.what, sum(s.n)::int, max(s.at), min(s.since), 0, 0, 0, 0
FROM standing s LEFT JOIN m ON m.unit = s.unit LEFT JOIN m a ON a.unit = s.asked
WHERE s.event = %(event)s AND s.what <> '{standing.ASKED}' AND (m.line IS NOT NULL OR s.unit <= 0)
  AND (s.what <> '{standing.HELPED}' OR coalesce(a.line, %(top)s) = %(top)s)
GROUP BY 1, 2
"""


@dataclasses.dataclass
class Glance:
    """Figures of each line of a page (the top's own under its unit). What the worker counts, by its name (leads.standing): the
    number in the range, that of no known place, and when it was counted. `next_due_at`: the first deadline of what is soon due.
    """

    sums: dict[int, Figures]
    counted: dict[str, int]
    nowhere: dict[str, int]
    counted_at: dict[str, datetime]
    next_due_at: datetime | None = None


def glance(event: int, here: Place, below: Sequence[Place]) -> Glance:
    """All figures of a page in one statement: a city has two thousand units, and what it shows are a dozen lines."""
    found = Glance({unit: Figures() for unit in (here.unit, *(b.unit for b in below))}, {}, {}, {})
    given = {
        "event": event, "top": here.unit, "lo": here.lo, "hi": here.hi, "on": clock.today(), "day": clock.today(),
        "lines": [b.unit for b in below], "los": [b.lo for b in below], "his": [b.hi for b in below],
    }  # fmt: skip
    for row in rows(_GLANCE, given):
        line, what, n = row["line"], row["what"], row["n"]
        if not what:
            sums = found.sums[line]
            sums.held, sums.new, sums.closed, sums.late = (row[name] or 0 for name in ("held", "new", "closed", "late"))
        elif line == 0:
            found.counted_at[what] = row["at"]
        elif line == standing.NOWHERE:
            found.nowhere[what] = n
        else:
            found.counted[what] = found.counted.get(what, 0) + n
            if what == standing.SOON_DUE:
                found.next_due_at = min(filter(None, (found.next_due_at, row["since"])), default=None)
            if what == standing.HELPED:
                found.sums[line].helped = n
    return found


def condition(what: str, event: int, units: Sequence[int], below: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """The duties `l` that a figure counts. `units`: whose duties; `below` (for helped): desks whose
    help does not count, being below the top of the page."""
    start = clock.day_start(clock.today())
    given = {"event": event, "units": list(units), "below": list(below), "start": start, "kind": VERIFY.name}
    parts = {
        "held": "l.closed_at IS NULL AND l.owner = ANY(%(units)s)",
        "new": "l.id IN (SELECT m.loop FROM movement m WHERE m.what = 'opened' AND m.to_unit = ANY(%(units)s) AND m.received_at >= %(start)s)",
        "closed": "l.closed_at >= %(start)s AND l.owner = ANY(%(units)s)",
        "late": f"l.closed_at IS NULL AND l.owner = ANY(%(units)s) AND {LATE}",
        "helped": f"l.closed_at IS NULL AND l.owner = ANY(%(units)s) AND {LATE} AND l.id IN (SELECT a.loop FROM ({_ASKED}) a WHERE a.unit <> ALL(%(below)s))",
        "phone_only": f"l.closed_at IS NULL AND l.owner = ANY(%(units)s) AND l.kind = %(kind)s AND {_NUMBER_ONLY}",
    }
    return f"l.event = %(event)s AND {parts[what]}", given


def count(where: str, given: dict[str, Any]) -> int:
    return rows(f"SELECT count(*) AS n FROM loop l WHERE {where}", given)[0]["n"]


def unreconciled(event: int) -> list[dict[str, Any]]:
    """Leads in sight without any duty to verify them, open or ended, as the worker last found them: nobody may be among them."""
    return rows(
        f"""
        SELECT le.id AS lead, le.subject, le.event FROM stray s JOIN lead le ON le.id = s.lead
        WHERE s.event = %(event)s AND le.merged_into IS NULL
          AND NOT EXISTS (SELECT 1 FROM loop l WHERE l.subject = le.subject AND l.key = le.key AND l.event = le.event AND l.kind = %(kind)s)
        ORDER BY le.id LIMIT {PAGE_ROWS}
        """,
        {"event": event, "kind": VERIFY.name},
    )


def asked_of(unit: int, event: int) -> list[dict[str, Any]]:
    """Units below that ask this desk for help: villages and people late, since when, and how often they have called; as last counted."""
    return rows(
        """
        SELECT coalesce(up.unit_id, o.id) AS unit, coalesce(up.name, r.name) AS name, coalesce(up.phone, o.phone) AS phone,
               count(DISTINCT s.unit) AS n_units, sum(s.n)::int AS n, min(s.since) AS since, sum(s.tries)::int AS tries
        FROM standing s JOIN unit o ON o.id = s.unit JOIN region r ON r.id = o.region_id
        LEFT JOIN LATERAL (SELECT p.id AS unit_id, pr.name, p.phone FROM unit_line ul JOIN unit p ON p.id = ul.above_id JOIN region pr ON pr.id = p.region_id
                           WHERE ul.unit_id = o.id AND p.parent_id = %(unit)s ORDER BY ul.steps LIMIT 1) up ON TRUE
        WHERE s.event = %(event)s AND s.what = %(what)s AND s.asked = %(unit)s
        GROUP BY 1, 2, 3 ORDER BY sum(s.n) DESC, 2 LIMIT 20
        """,
        {"unit": unit, "event": event, "what": standing.ASKED},
    )


def denied(since: datetime, limit: int = 20) -> list[dict[str, Any]]:
    """Posts that were refused most since a moment: who, how often, at how many addresses. The house keeps the table; it names no person of a list."""
    return rows(
        """
        SELECT o.name AS officer, o.login, u.name AS unit, p.role, sum(d.n) FILTER (WHERE d.status = 403) AS n_may_not,
               sum(d.n) FILTER (WHERE d.status = 404) AS n_not_theirs, count(DISTINCT d.address) AS n_addresses, max(d.last_at) AS last_at
        FROM denied d JOIN post p ON p.id = d.post JOIN officer o ON o.id = p.officer JOIN unit u ON u.id = d.unit
        WHERE d.last_at >= %(since)s GROUP BY o.name, o.login, u.name, p.role ORDER BY sum(d.n) DESC, max(d.last_at) DESC LIMIT %(limit)s
        """,
        {"since": since, "limit": limit},
    )
