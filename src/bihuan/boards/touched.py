"""Whom a change of rules touches: open duties and the persons in them, counted and listed by one condition.

The meaning is the pure `effect`, asked once per kind of duty, class of origin and pair of packs; the counting is one
statement. A duty that is open keeps the pack and the deadline with which it was opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from bihuan.leads.loops import SAMPLE, VERIFY
from bihuan.leads.queries import rows
from bihuan.loops.declare import LoopKind, kinds
from bihuan.policy import preview
from bihuan.policy.pack import Pack
from bihuan.policy.preview import Cell, Touched

# Duties that a class of origin alone brings about: whether a pack asks them.
_ASKED_OF = {
    VERIFY.name: lambda pack: pack.lead.needs_verification,
    SAMPLE.name: lambda pack: pack.lead.needs_sampling,
}
_FOR_EVER = timedelta.max


def effect(kind: LoopKind, origin_class: str, before: Pack, after: Pack) -> str:
    """ends, shorter, longer or rule, as in Touched; "" where the change does not touch such a duty.

    A class that is "" (the duty is about no arrival) has times only.
    """
    asked = _ASKED_OF.get(kind.name)
    if asked and origin_class and origin_class in asked(before) and origin_class not in asked(after):
        return "ends"
    old, new = ((kind.due.duration(pack) if kind.due else None) for pack in (before, after))
    if old != new:
        return "shorter" if (new or _FOR_EVER) < (old or _FOR_EVER) else "longer"
    if origin_class and _asks(before, origin_class) != _asks(after, origin_class):
        return "rule"
    return ""


def _asks(pack: Pack, origin_class: str) -> dict[str, Any]:
    """What a rule asks, without its name and where it comes from."""
    return pack.arrival_rule(origin_class).row.model_dump(exclude={"source", "grade", "note", "zh", "en"})


# An open duty with the class of its arrival, "" where it is about none; looked up once a duty (OFFSET 0 keeps it apart), and
# not once for each row of the table of what is touched.
_OPEN = """
FROM (
  SELECT l.id, l.kind, l.scope, l.subject, coalesce((
    SELECT le.origin_class FROM cluster c JOIN cluster m ON m.root = c.root
    JOIN lead le ON le.subject = m.subject AND le.key = l.key AND le.event = l.event AND le.merged_into IS NULL
    WHERE c.subject = l.subject ORDER BY le.first_reported_at DESC LIMIT 1), '') AS class
  FROM loop l WHERE l.event = %(event)s AND l.closed_at IS NULL OFFSET 0) l
JOIN unnest(%(lo)s::bigint[], %(hi)s::bigint[], %(kind)s::text[], %(class)s::text[], %(effect)s::text[]) AS t(lo, hi, kind, class, effect)
  ON l.scope >= t.lo AND l.scope < t.hi AND l.kind = t.kind AND l.class = t.class
"""
_COUNT = f"""
SELECT l.kind, t.class, t.effect, count(*) AS n, count(DISTINCT coalesce(c.root, l.subject)) AS persons
{_OPEN} LEFT JOIN cluster c ON c.subject = l.subject
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


def _table(event: int, found: Sequence[Cell]) -> dict[str, Any]:
    """Every combination that is touched, as columns for the statement."""
    table: list[tuple[int, int, str, str, str]] = []
    for cell in found:
        for kind in kinds().values():
            for origin_class in _classes(event, cell):
                if says := effect(kind, origin_class, cell.before, cell.after):
                    table.append((cell.lo, cell.hi, kind.name, origin_class, says))
    columns = list(zip(*table, strict=True)) if table else [()] * 5
    return {"event": event, **{name: list(column) for name, column in zip(("lo", "hi", "kind", "class", "effect"), columns, strict=True)}}


def _classes(event: int, cell: Cell) -> list[str]:
    """Classes that a duty may have: those of both packs, those that leads have had, and none."""
    known = {row["c"] for row in rows("SELECT DISTINCT origin_class AS c FROM lead WHERE event = %s", [event])}
    return sorted({"", *cell.before.origin_classes, *cell.after.origin_classes, *known})


def count(event: int, found: Sequence[Cell]) -> list[Touched]:
    """Rows for the preview, within the reader's scope. One statement, and one for the classes of each cell."""
    return [
        Touched(row["kind"], kinds()[row["kind"]].title, row["class"], row["effect"], row["n"], row["persons"])
        for row in rows(_COUNT, _table(event, found))
    ]


def condition(event: int, found: Sequence[Cell], effects: Sequence[str] = ()) -> tuple[str, dict[str, Any]]:
    """The same duties `l` as a condition, for a list; `effects`: only those touched so."""
    given = _table(event, found) | {"effects": list(effects)}
    only = " WHERE t.effect = ANY(%(effects)s)" if effects else ""
    # As an array they are looked up once; as a join the planner may ask for each line of the list again.
    return f"l.id = ANY(ARRAY(SELECT l.id {_OPEN}{only}))", given


preview.register(count)
