"""Making the units of a city, and the closure of who stands above whom."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from django.db import connection, transaction

from bihuan.kernel.refused import Refused

from .scopes import as_scope, span_of

DATA = Path(__file__).resolve().parents[3] / "data"

# Shape of the ladder: a village's own city is three steps above it. Packs say after how long each step is asked.
STEPS = 3

_NEW_UNITS = """
INSERT INTO unit (region_id, kind, code, name, phone, valid)
SELECT r.id, w.kind, w.code, replace(w.name, '{region}', r.name), '', daterange(%(on)s, NULL)
FROM region_scope s
JOIN region r ON r.id = s.region_id
JOIN unnest(%(levels)s::smallint[], %(kinds)s::text[], %(codes)s::text[], %(names)s::text[]) AS w (level, kind, code, name)
    ON w.level = r.level
WHERE s.scope >= %(lo)s AND s.scope < %(hi)s AND s.valid @> %(on)s::date
    AND NOT EXISTS (
        SELECT FROM unit u WHERE u.region_id = r.id AND u.kind = w.kind AND u.code = w.code
    )
ORDER BY s.scope, w.kind, w.code
"""

# A desk or village stands under the nearest desk whose scope contains its own; any other unit under its region's desk.
# Four joins by equal codes, not a search for each unit: the planner has no statistics of what was just inserted.
_PARENTS = """
WITH desk AS MATERIALIZED (
    SELECT DISTINCT ON (s.scope) s.scope, u.id
    FROM region_scope s JOIN unit u ON u.region_id = s.region_id AND u.kind = 'desk' AND u.valid @> %(on)s::date
    WHERE s.scope >= %(lo)s AND s.scope < %(hi)s AND s.valid @> %(on)s::date
    ORDER BY s.scope, u.id
)
UPDATE unit u SET parent_id = coalesce(nullif(own.id, u.id), nullif(town.id, u.id), nullif(county.id, u.id), city.id)
FROM region_scope s
LEFT JOIN desk own ON own.scope = s.scope
LEFT JOIN desk town ON town.scope = s.scope - s.scope %% 1000000
LEFT JOIN desk county ON county.scope = s.scope - s.scope %% 1000000000
LEFT JOIN desk city ON city.scope = s.scope - s.scope %% 100000000000
WHERE s.region_id = u.region_id AND s.valid @> %(on)s::date AND s.scope >= %(lo)s AND s.scope < %(hi)s
    AND u.parent_id IS NULL AND upper_inf(u.valid) AND u.id IS DISTINCT FROM city.id
"""

_PHONES = """
UPDATE unit u SET phone = %(area)s || '-0' || lpad(u.id::text, 7, '0')
FROM region_scope s
WHERE s.region_id = u.region_id AND s.valid @> %(on)s::date AND s.scope >= %(lo)s AND s.scope < %(hi)s
    AND u.phone = '' AND upper_inf(u.valid)
"""

# One statement: what every unit's line must be, the rows that are no longer so, and the rows that are not yet so.
_LINES = """
WITH RECURSIVE line (unit_id, steps, above_id) AS (
    SELECT id, 0, id FROM unit
    UNION ALL
    SELECT line.unit_id, line.steps + 1, coalesce(u.parent_id, u.id)
    FROM line JOIN unit u ON u.id = line.above_id
    WHERE line.steps < %(steps)s
), wrong AS (
    DELETE FROM unit_line l
    WHERE NOT EXISTS (SELECT FROM line WHERE line.unit_id = l.unit_id AND line.steps = l.steps)
)
INSERT INTO unit_line AS l (unit_id, steps, above_id)
SELECT unit_id, steps, above_id FROM line
ON CONFLICT (unit_id, steps) DO UPDATE SET above_id = excluded.above_id WHERE l.above_id <> excluded.above_id
"""


@dataclass(frozen=True)
class MadeUnits:
    """`created`: new units; `total`: units of the city that are in office on the day."""

    created: int
    total: int


def make_units(city: int | str, on: date, *, path: Path | None = None) -> MadeUnits:
    """Give a loaded city the units of `units.toml` from the day `on`: desks, villages, a liaison desk, senders.

    Parents follow the scope codes of that day, so a zone's townships stand under the zone's desk. Repeating it
    makes only what was never there: a unit that was closed is not made again. Refuses a city that is not loaded.
    """
    lo, hi = span_of(as_scope(city), 2)
    plan = tomllib.loads((path or DATA / "units.toml").read_text("utf-8"))
    wanted = plan["unit"]
    values = {
        "on": on,
        "lo": lo,
        "hi": hi,
        "levels": [w["level"] for w in wanted],
        "kinds": [w["kind"] for w in wanted],
        "codes": [w.get("code", "") for w in wanted],
        "names": [w["name"] for w in wanted],
        # A city without an entry still gets numbers that cannot exist.
        "area": plan["area_codes"].get(str(lo // 10**11), "0000"),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT FROM region_scope WHERE scope = %s AND valid @> %s::date", [lo, on])
        if not cursor.rowcount:
            raise Refused(
                "city_not_loaded",
                f"没有载入代码为 {lo // 10**11} 的城市，请先载入区划。",
                f"The city with code {lo // 10**11} is not loaded; load its divisions first.",
                str(city),
            )
        cursor.execute(_NEW_UNITS, values)
        created = cursor.rowcount
        cursor.execute(_PARENTS, values)
        cursor.execute(_PHONES, values)
        rebuild_lines()
        cursor.execute(
            "SELECT count(*) FROM unit u JOIN region_scope s ON s.region_id = u.region_id AND s.valid @> %(on)s::date "
            "WHERE s.scope >= %(lo)s AND s.scope < %(hi)s AND u.valid @> %(on)s::date",
            values,
        )
        return MadeUnits(created, cursor.fetchone()[0])


def rebuild_lines() -> int:
    """Make `unit_line` say what the parents say; one statement. Returns how many rows were added or changed."""
    with connection.cursor() as cursor:
        cursor.execute(_LINES, {"steps": STEPS})
        return cursor.rowcount
